"""Build the website: warnings are errors, links are checked, and a failed build leaves the last good site alone."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from assets import NoAssets, fetched
from check_links import broken_links

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
SITE = BUILD / "html"
WORK = BUILD / "work"
CACHE = BUILD / ".jupyter_cache"
LOG = BUILD / "book.log"

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PROGRESS = re.compile(r"Executing notebook|reading sources\.\.\. \[|build succeeded")
PROBLEM = re.compile(r"WARNING|ERROR|Error:|Traceback|No space left")
# Said by every kernel that starts; the kernels of a build listen to this machine alone.
NOISE = re.compile(r"IPKernelApp")


def forget_stale_outputs() -> None:
    """Empty the notebook cache when the library or its data changed: its keys see the notebooks alone."""
    digest = hashlib.sha256()
    parts = [*ROOT.glob("distill_lib/**/*.py"), *ROOT.glob("data/**/*.*"), ROOT / "requirements.lock"]
    for path in sorted(path for path in parts if path.is_file()):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    mark, seen = BUILD / ".library", digest.hexdigest()
    if not mark.exists() or mark.read_text() != seen:
        shutil.rmtree(CACHE, ignore_errors=True)
        mark.write_text(seen)


def run_jupyter_book() -> int:
    """Build into the work folder; show what is being done, keep the whole log."""
    # The console script of this very environment, whatever PATH holds; kernels start from it too.
    programs = Path(sys.executable).parent
    command = [
        str(programs / "jupyter-book"),
        "build",
        ".",
        "--toc",
        "book/_toc.yml",
        "--path-output",
        str(WORK),
    ]
    command += ["--all", "-W", "-n", "--keep-going"]
    environment = dict(os.environ, PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    with LOG.open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            line = COLOUR.sub("", line)
            log.write(line)
            if (PROBLEM.search(line) or PROGRESS.search(line)) and not NOISE.search(line):
                print("  " + line.rstrip().replace(f"{ROOT}{os.sep}", "")[:160], flush=True)
        return process.wait()


def publish() -> None:
    """Put the finished site in place of the old one, in one move."""
    fresh, old = WORK / "_build" / "html", BUILD / "html-old"
    shutil.rmtree(old, ignore_errors=True)
    staged = BUILD / "html-new"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(fresh, staged)
    if SITE.exists():
        SITE.rename(old)
    staged.rename(SITE)
    shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    """Build, check, publish; say in one line where the result is."""
    BUILD.mkdir(exist_ok=True)
    try:
        fetched()  # what the planner's page runs; the one step that may need a network
    except NoAssets as error:
        print(f"book: {error}; the last good site was kept.", file=sys.stderr)
        return 1
    forget_stale_outputs()
    # Stale pages of an earlier table of contents would hide broken links.
    shutil.rmtree(WORK / "_build" / "html", ignore_errors=True)
    try:
        status = run_jupyter_book()
        if status or not (WORK / "_build" / "html").is_dir():
            reports = sorted((WORK / "_build" / "html" / "reports").rglob("*.err.log"))
            for report in reports:
                print(f"--- {report.stem}\n{report.read_text()[-3000:]}", file=sys.stderr)
            print(
                "book: the build failed (see the lines above; all of it in _build/book.log).", file=sys.stderr
            )
            return 1
        problems = broken_links(WORK / "_build" / "html")
        if problems:
            print("\n".join(problems), file=sys.stderr)
            print(f"book: {len(problems)} broken links; the last good site was kept.", file=sys.stderr)
            return 1
        publish()
    except KeyboardInterrupt:
        print("book: interrupted; the last good site was kept.", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"book: {error}; the last good site was kept.", file=sys.stderr)
        return 1
    print("The book is in _build/html; to look at it: make serve")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
