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
from distill_lib.scaling.law_draws import MEANING, draw_published_laws
from distill_lib.scaling.law_files import DISTILLATION, SUPERVISED
from distill_lib.scaling.laws import READINGS, DistillationLaw
from distill_lib.scaling.propagation import OF_DRAWS
from distill_lib.scaling.robustness import LAWS
from distill_lib.scaling.sensitivity import moved_laws

ROOT = Path(__file__).resolve().parents[2]
PAGE = "book/plan"
LIBRARY = (
    "formulas", "wording", "verdicts", "answers", "law_files", "robustness", "hinges", "sureness", "sketches",
)  # fmt: skip
STATIC = ROOT / "book" / "_static" / "planner"


def published() -> dict[str, Any]:
    """Gather what the page needs of the paper for its first answer: both readings of the law, the fitted ranges."""
    return {
        "laws": {reading: dl.published_law(reading).to_dict() for reading in READINGS},
        "many": LAWS,
        "meaning": {"published": MEANING, "draws": OF_DRAWS},
        "ranges": {name: list(ends) for name, ends in paper.fitted_ranges().items()},
        "accuracy": paper.law_accuracy(),
        "context": formulas.CONTEXT,
        "vocabulary": formulas.VOCABULARY,
        "bound": formulas.BOUNDS[1],
        "devices": {kind.name: {"peak": kind.peak, "source": kind.source} for kind in ACCELERATORS.values()},
        "utilisation": UTILISATION,
    }


def other_laws() -> dict[str, Any]:
    """Gather the laws that the page asks how sure a plan is: those of ``dl.plan_uncertainty``, in few bytes.

    They are rows of coefficients under their names: the laws drawn from the intervals of Table 6, which differ between
    the readings in B' alone, and for each reading those with one coefficient moved to either end of its interval.
    """
    drawn = {reading: draw_published_laws(LAWS, reading) for reading in READINGS}

    def row(law: DistillationLaw) -> list[float]:
        return [getattr(law.supervised, name) for name in SUPERVISED] + [
            getattr(law, name) for name in DISTILLATION
        ]

    return {
        "supervised": SUPERVISED,
        "distillation": DISTILLATION,
        "drawn": [row(law) for law in drawn[READINGS[0]]],
        "B": {reading: [law.B for law in laws] for reading, laws in drawn.items()},
        "moved": {
            reading: [[symbol, row(low), row(high)] for symbol, low, high in moved_laws(reading)]
            for reading in READINGS
        },
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
    (target / "laws.json").write_text(json.dumps(other_laws(), allow_nan=False), encoding="utf-8")
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
