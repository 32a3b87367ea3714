"""Where built things are kept between commands, and how they are put there: whole or not at all."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from filelock import FileLock
from platformdirs import user_cache_path

#: Environment variable that moves the cache.
CACHE_VARIABLE = "DISTILL_LIB_CACHE"


def cache_folder(folder: Path | str | None = None) -> Path:
    """Find the cache: the argument, else DISTILL_LIB_CACHE, else the user's cache directory.

    Parameters
    ----------
    folder : Path, str or None
        A folder that goes before all else.

    Returns
    -------
    Path
        The folder, not necessarily there yet.
    """
    chosen = folder or os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser().resolve() if chosen else user_cache_path("distill-lib")


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Fill a folder that appears under its name only when it is complete; to be called under `lock_for` the target.

    Parameters
    ----------
    target : Path
        Where the folder is to be; what lies there is replaced, drafts that a kill left beside it are removed.

    Yields
    ------
    Path
        An empty folder beside the target, moved there if the block ends well and removed if not.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield draft
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextlib.contextmanager
def new_file(target: Path, durable: bool = True) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name only when it is complete.

    Parameters
    ----------
    target : Path
        Where the file is to be; what lies there is replaced.
    durable : bool
        Wait until the disk has it, so that a crash of the machine leaves the old file or the new one.

    Yields
    ------
    file
        An empty file beside the target, open for bytes; moved there if the block ends well and removed if not.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-", delete=False) as file:
        try:
            yield file.file
            file.flush()
            if durable:
                os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def lock_for(target: Path) -> FileLock:
    """Lock that keeps two processes from building the same thing.

    Parameters
    ----------
    target : Path
        What is built.

    Returns
    -------
    FileLock
        A lock beside the target; wait for it with ``with``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(target.with_name(f"{target.name}.lock"))


def file_sha256(path: Path) -> str:
    """Hash a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        SHA-256, hex.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(content: Any) -> str:
    """Name a piece of JSON by its content.

    Parameters
    ----------
    content : object
        Anything that JSON can hold.

    Returns
    -------
    str
        First 12 hex digits of the SHA-256 of its canonical form.
    """
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """Put the hash of a manifest into it, so that a change of it is noticed.

    Parameters
    ----------
    content : dict
        Anything that JSON can hold.

    Returns
    -------
    dict
        The same, with ``manifest_hash``.
    """
    return content | {"manifest_hash": key_of(content)}


def is_whole(manifest: Any) -> bool:
    """Tell whether a manifest is as `sealed` left it.

    Parameters
    ----------
    manifest : object
        What was read from its file,
        whatever it is.

    Returns
    -------
    bool
        False for a manifest that was changed,
        or never sealed.
    """
    if not isinstance(manifest, dict) or "manifest_hash" not in manifest:
        return False
    return sealed({name: manifest[name] for name in manifest if name != "manifest_hash"}) == manifest


def code_hash(modules: Iterable[str]) -> str:
    """Hash the source of modules of this package: what they made is stale once they change.

    Parameters
    ----------
    modules : iterable of str
        File names beside this one, such as "model.py".

    Returns
    -------
    str
        First 12 hex digits of the SHA-256.
    """
    sources = [Path(__file__).with_name(module).read_bytes() for module in sorted(modules)]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()[:12]


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Look up the versions of packages.

    Parameters
    ----------
    packages : iterable of str
        Import names; "stdlib" stands for Python.

    Returns
    -------
    dict of str to str
        Version by package; "unknown" for one without metadata.
    """
    versions: dict[str, str] = {}
    distributions: dict[str, list[str]] | None = None
    for package in sorted(set(packages)):
        if package == "stdlib":
            versions[package] = platform.python_version()
            continue
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            # The distribution has another name than the package (PIL is pillow); listing all is slow.
            if distributions is None:
                distributions = dict(metadata.packages_distributions())
            names = distributions.get(package)
            versions[package] = metadata.version(names[0]) if names else "unknown"
    return versions
