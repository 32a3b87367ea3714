"""Where a table comes from: commit, versions and kind of machine, without names of people or hosts."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import distill_lib
from distill_lib.training.cache import installed_versions


def commit() -> str:
    """Name the code that is running.

    Returns
    -------
    str
        In a checkout the commit, 12 digits, with "-dirty" if tracked files differ from it; in an installed
        package its version.
    """
    root = Path(__file__).resolve().parents[2]
    version = f"v{distill_lib.__version__}"
    if not (root / ".git").exists() or not (root / "pyproject.toml").exists():
        return version
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return version


def environment() -> dict[str, Any]:
    """Describe what the runs were made with.

    Returns
    -------
    dict
        Versions, operating system, processor family and number of cores.
    """
    return {
        "distill_lib": distill_lib.__version__,
        "python": platform.python_version(),
        "versions": installed_versions(["numpy", "torch", "tokenizers"]),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
