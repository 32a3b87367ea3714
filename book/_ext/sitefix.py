"""Make the built site self-contained: it asks no other host for anything, and logs no error.

Three repairs of what Jupyter Book 1 does by default: MathJax is served by the site instead of a
content network; the scripts of sphinx-thebe, which this book does not use, are left out (they name
another host and appear twice); and every page carries a description for search engines.
"""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

# What the book's pages load: the combined component, its fonts, and the TeX extensions it loads on demand.
MATHJAX_COMPONENT = "tex-chtml.js"
MATHJAX_PARTS = ("output/chtml/fonts/woff-v2", "input/tex/extensions")


def mathjax_source() -> Path:
    """Folder of MathJax in the installed package, which only carries the files."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "MathJax is missing: install the [book] extra, which brings sphinx-mathjax-offline"
        )
    return Path(spec.origin).parent / "static" / "mathjax"


def serve_mathjax_ourselves(app: Sphinx, config: Config) -> None:
    """Point Sphinx at the copy that `copy_mathjax` places into the site."""
    config.mathjax_path = f"mathjax/{MATHJAX_COMPONENT}"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy the parts of MathJax that pages use into the site's static files."""
    if error is not None:
        return
    source, target = mathjax_source(), Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / MATHJAX_COMPONENT, target)
    for part in MATHJAX_PARTS:
        shutil.copytree(source / part, target / part, dirs_exist_ok=True)


def drop_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out sphinx-thebe's scripts: no page of this book starts a remote kernel."""

    def is_thebe(script: Any) -> bool:
        body = getattr(script, "attributes", {}).get("body") or ""
        return "thebe" in str(getattr(script, "filename", "") or "") or "THEBE_JS_URL" in body

    context["script_files"] = [script for script in context["script_files"] if not is_thebe(script)]
    context["css_files"] = [
        style for style in context["css_files"] if "thebe" not in str(getattr(style, "filename", "") or "")
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", serve_mathjax_ourselves, priority=900)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
