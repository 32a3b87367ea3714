"""The planner's page: its script and style on that page alone, and beside them what it runs.

Placed in the built site are MicroPython (an npm package, fetched at build time), the library's own files that
the page runs, and what the library knows of the paper, as JSON. The mathematics has no second copy.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import distill_lib as dl
from distill_lib import paper
from distill_lib.scaling import formulas
from distill_lib.scaling.accelerators import ACCELERATORS, UTILISATION
from distill_lib.scaling.laws import READINGS, published_intervals

ROOT = Path(__file__).resolve().parents[2]
PAGE = "book/plan"
LIBRARY = ("formulas", "wording", "verdicts", "answers", "sketches", "law_files")
STATIC = ROOT / "book" / "_static" / "planner"


def published() -> dict[str, Any]:
    """Gather what the page needs of the paper: both readings of the law, their intervals, the fitted ranges."""
    laws, intervals = {}, {}
    for reading in READINGS:
        laws[reading] = dl.published_law(reading).to_dict()
        intervals[reading] = {}
        for part, known in (("supervised", laws[reading]["supervised"]), ("distillation", laws[reading])):
            table = published_intervals(part, reading)
            rows = table.loc[[name for name in table.index if name in known], ["low", "high"]]
            intervals[reading][part] = {str(name): [row.low, row.high] for name, row in rows.iterrows()}
    return {
        "laws": laws,
        "intervals": intervals,
        "ranges": {name: list(ends) for name, ends in paper.fitted_ranges().items()},
        "accuracy": paper.law_accuracy(),
        "context": formulas.CONTEXT,
        "vocabulary": formulas.VOCABULARY,
        "bound": formulas.BOUNDS[1],
        "devices": {kind.name: {"peak": kind.peak, "source": kind.source} for kind in ACCELERATORS.values()},
        "utilisation": UTILISATION,
    }


def micropython() -> Path:
    """Return the folder of MicroPython for the browser, fetched if it is not in the cache."""
    sys.path.insert(0, str(ROOT / ".ci"))
    try:
        import assets
    finally:
        sys.path.remove(str(ROOT / ".ci"))
    return assets.fetched() / assets.MICROPYTHON


def library() -> dict[str, str]:
    """Gather the Python that the page runs, by its place: one request instead of one for each file."""
    files = {
        f"distill_lib/scaling/{name}.py": ROOT / "distill_lib" / "scaling" / f"{name}.py" for name in LIBRARY
    }
    files["bridge.py"] = STATIC / "bridge.py"
    return {place: path.read_text(encoding="utf-8") for place, path in files.items()}


def place(app: Sphinx, error: Exception | None) -> None:
    """Copy what the page runs into the site's static files."""
    if error is not None or PAGE not in app.env.found_docs:
        return
    target = Path(app.outdir) / "_static" / "planner"
    for name in ("micropython.mjs", "micropython.wasm"):
        shutil.copy2(micropython() / name, target)
    (target / "library.json").write_text(json.dumps(library()), encoding="utf-8")
    (target / "published.json").write_text(json.dumps(published(), allow_nan=False), encoding="utf-8")


def add_script(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the planner's page its script and its style, and begin what they need as early as the page allows.

    The worker starts with the head of the page, before any script is there; what the scripts import is named
    beside it, so that nothing is found out late.
    """
    if page == PAGE:
        here = context["pathto"]("_static/planner/", 1)
        modules = sorted(
            path.name for path in STATIC.glob("*.js") if path.name not in ("main.js", "worker.js")
        )
        # One that does not start is forgotten, so that main.js makes another and hears what is wrong.
        links = [
            '<script>if (typeof WebAssembly === "object" && typeof Worker === "function") '
            f'{{ var plannerWorker = new Worker("{here}worker.js", {{ type: "module" }}); '
            "plannerWorker.onerror = () => { plannerWorker = null; }; }</script>"
        ]
        links += [f'<link rel="modulepreload" href="{here}{name}">' for name in modules]
        links.append(f'<link rel="preload" href="{here}published.json" as="fetch" crossorigin="anonymous">')
        context["metatags"] += "\n".join(links)
        app.add_css_file("planner/planner.css")
        # async: it waits for no other script of the page
        app.add_js_file("planner/main.js", type="module", loading_method="async")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", add_script)
    app.connect("build-finished", place)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
