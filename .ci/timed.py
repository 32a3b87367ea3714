"""Run one part of a build, and note how long it took: `timed.py NAME COMMAND...` or `timed.py --done TEXT`."""

import subprocess
import sys
import time
from pathlib import Path

TIMINGS = Path(__file__).resolve().parents[1] / "_build" / "timings.tsv"


def main() -> int:
    """Return the command's own exit status."""
    name, *command = sys.argv[1:]
    if name == "--done":
        print(*command)
        return 0
    print(f"== {name}", flush=True)
    begin = time.perf_counter()
    try:
        status = subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130
    except FileNotFoundError:
        print(
            f"{name}: {command[0]} is missing; `make distclean setup` makes the environment anew.",
            file=sys.stderr,
        )
        return 127
    seconds = time.perf_counter() - begin
    TIMINGS.parent.mkdir(exist_ok=True)
    with TIMINGS.open("a") as handle:
        handle.write(f"{name}\t{seconds:.1f}\t{'ok' if status == 0 else 'failed'}\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
