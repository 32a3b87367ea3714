"""Create .venv from requirements.lock: checks first, progress while it works, nothing half-made behind.

Standard library only, and written for old interpreters too, so that even Python 3.6 says what is missing.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
READY = os.path.join(VENV, ".ready")
LOG = os.path.join(ROOT, ".cache", "setup.log")
OLDEST = (3, 11)
NEEDED_BYTES = 3 * 10**9

# What pip says, and what a person can do about it.
REMEDIES = [
    (
        r"No space left on device",
        "the disk is full: free about 3 GB, then run the same command again",
    ),
    (
        r"NewConnectionError|ConnectionError|Name or service not known|name resolution"
        r"|Max retries exceeded|Read timed out|ProxyError|No route to host|Connection refused",
        "no package registry answered: check the network, the proxy or pip's settings (pip config list), then run the same command again",
    ),
    (
        r"(?:No matching distribution found for|satisfies the requirement) (\S+)",
        "the package registry offers no {0} for this Python and platform: try another interpreter with PYTHON=python3.12",
    ),
    (r"Permission denied", "a file may not be written: check who owns this folder"),
]


def stop(message):
    sys.stderr.write("setup: %s.\n" % message)
    raise SystemExit(1)


def fingerprint():
    """Identify what the environment is made from; a change of any of it makes a new one."""
    digest = hashlib.sha256(sys.version.encode())
    for name in ("requirements.lock", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as handle:
            digest.update(handle.read())
    digest.update(ROOT.encode())
    return digest.hexdigest()


def is_ready(mark):
    try:
        with open(READY) as handle:
            return handle.read().strip() == mark
    except OSError:
        return False


def check_machine():
    if sys.version_info < OLDEST:
        stop(
            "Python %d.%d found, 3.11 or newer is needed: install one and name it, as in `make book PYTHON=python3.12`"
            % sys.version_info[:2]
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(
            "this Python comes without venv: install it (Debian and Ubuntu: apt install python3-venv), then run the same command again"
        )
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        stop("%.1f GB free on this disk, about 3 GB are needed: free some space first" % (free / 1e9))


def pinned_count():
    with open(os.path.join(ROOT, "requirements.lock")) as handle:
        return sum(1 for line in handle if "==" in line)


def show(done, total, name):
    line = "setup: [%3d/%d] %s" % (done, total, name)
    if sys.stdout.isatty():
        sys.stdout.write("\r" + line[:78].ljust(78))
    elif done % 25 == 0:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def pip(arguments, total=0):
    """Run the environment's pip, tell its progress, and turn its failure into one line."""
    python = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    tail, done = [], 0
    with open(LOG, "a") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
        )
        for line in process.stdout:
            log.write(line)
            tail.append(line)
            collected = re.match(r"Collecting (\S+?)(==|\s|$)", line)
            if collected and total:
                done = min(done + 1, total)
                show(done, total, collected.group(1))
            elif line.startswith("Installing collected packages") and total:
                show(total, total, "unpacking, about a minute")
        process.wait()
    if sys.stdout.isatty() and total:
        sys.stdout.write("\n")
    if process.returncode:
        text = "".join(tail[-200:])
        for pattern, remedy in REMEDIES:
            found = re.search(pattern, text)
            if found:
                stop(remedy.format(*found.groups()))
        errors = [line.strip() for line in tail if line.startswith("ERROR")]
        stop(
            "pip failed (%s); the whole log is in .cache/setup.log"
            % (errors[-1] if errors else "no reason given")
        )


def main():
    check_machine()
    mark = fingerprint()
    if is_ready(mark):
        return
    begin = time.time()
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
    open(LOG, "w").close()
    shutil.rmtree(VENV, ignore_errors=True)
    complete = False
    try:
        print(
            "setup: creating .venv and installing the packages of requirements.lock (2 to 5 minutes)",
            flush=True,
        )
        # An activated .venv runs this with a Python that was removed a moment ago: take the one behind it.
        python = getattr(sys, "_base_executable", None) or sys.executable
        made = subprocess.run([python, "-m", "venv", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if made.returncode:
            stop("venv failed: " + made.stdout.decode(errors="replace").strip().splitlines()[-1])
        index = os.environ.get("TORCH_INDEX")
        pip(
            ["install", "--progress-bar", "off", "--retries", "2", "-r", "requirements.lock"]
            + (["--extra-index-url", index] if index else []),
            total=pinned_count(),
        )
        pip(["install", "--no-deps", "--no-build-isolation", "-e", "."])
        with open(READY, "w") as handle:
            handle.write(mark)
        complete = True
    except KeyboardInterrupt:
        stop("interrupted; run the same command again to start afresh")
    except OSError as error:
        stop("%s; run the same command again once that is mended" % error)
    finally:
        if not complete:
            shutil.rmtree(VENV, ignore_errors=True)
    print("setup: environment ready in .venv after %.0f s" % (time.time() - begin), flush=True)


if __name__ == "__main__":
    main()
