"""Whether a table that a sweep goes on with is the one that its manifest describes.

A sweep writes the measures of a run, then its row, then the manifest. One that was killed in between leaves
measures or table one run ahead, which is mended in silence. Any other difference is a change that nobody
recorded: to go on would put a new hash over it.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from distill_lib import runs


def is_ahead(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Tell whether a table, or its measures, are one run ahead of their manifest.

    Parameters
    ----------
    path : Path
        The table.
    manifest : mapping
        Its manifest.

    Returns
    -------
    bool
        False if both are as the manifest says.

    Raises
    ------
    RunsTableError
        If they differ in any other way.
    """
    table = path.read_bytes()
    measures = runs.measures_path(path)
    bins = measures.read_bytes() if measures.exists() else None
    ahead = _is_ahead(path, table, _without_last_line(table), manifest["sha256"])
    return _is_ahead(measures, bins, _without_last_run(bins), manifest.get("measures_sha256")) or ahead


def _is_ahead(path: Path, now: bytes | None, before: bytes | None, expected: str | None) -> bool:
    if _hash(now) == expected:
        return False
    if now is not None and _hash(before) == expected:
        return True
    state = "is missing" if now is None else "differs from its manifest"
    raise runs.RunsTableError(
        f"{path.name} {state}: it was changed by hand, or is damaged; restore it, or, if the change is meant, let "
        "distill_lib.runs.accept(table) take it over"
    )


def _hash(content: bytes | None) -> str | None:
    return None if content is None else sha256(content).hexdigest()


def _without_last_line(content: bytes) -> bytes:
    return content[: content.rstrip(b"\n").rfind(b"\n") + 1]


def _without_last_run(content: bytes | None) -> bytes | None:
    """Leave out the last lines that begin with the same name; None if no run is left."""
    lines = (content or b"").splitlines(keepends=True)
    last = lines[-1].partition(b",")[0] if lines else b""
    while lines and lines[-1].partition(b",")[0] == last:
        lines.pop()
    return b"".join(lines) if len(lines) > 1 else None
