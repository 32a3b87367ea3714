"""Docstrings of the whole library follow the numpy convention (the checks are chosen in pyproject.toml)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run numpydoc's linter over every module; its exit status is ours."""
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("distill_lib/**/*.py"))
    result = subprocess.run([sys.executable, "-m", "numpydoc", "lint", *files], cwd=ROOT, check=False)
    if result.returncode == 0:
        print(f"numpydoc: {len(files)} modules in order")
    return result.returncode


if __name__ == "__main__":
    raise SystemExit(main())
