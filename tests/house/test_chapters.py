"""Guard rails for chapters: short cells, captions, no outputs in git, no number typed into prose."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROSE = sorted((ROOT / "book").glob("*.md"))

LONGEST_CELL = 15
# What a chapter may import: the public face and its figures, numpy and pandas to look around, glue for numbers.
ALLOWED = {"distill_lib", "numpy", "pandas", "myst_nb", "torch", "pathlib", "tempfile", "__future__"}
# And to show a command with what it prints: it is run, so that the two cannot part.
ALLOWED |= {"os", "subprocess", "sys"}

# Left out before numbers are looked for: code, formulas, roles and directives' options, links, comments.
NOT_PROSE = [
    r"```.*?```", r"\$\$.*?\$\$", r"\$[^$]*\$", r"\{[a-z:]+\}`[^`]*`", r"`[^`]*`", r"\]\([^)]*\)", r"https?://\S+",
    r"<[^>]*>", r"^%.*?$", r"^:[a-z_-]+:.*?$", r"arXiv[: ]\d{4}\.\d{5}", r"CC BY \d\.\d", r"Python \d\.\d+",
    r"\b(?:Sec|App|Eq|Fig|Table)s?\.?\s*[A-Z]?\.?\d+(?:\.\d+)*",
]  # fmt: skip
# A measured or computed number: a decimal, a percentage, a power of ten, a multiple.
TYPED_NUMBER = re.compile(r"(?<![\w.])(\d+\.\d+|\d+(?:\.\d+)?\s?(?:%|×|percent\b|times\b|nats?\b)|\d+e\d+)")


def cells(path: Path, kind: str) -> list[dict]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell: dict) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def typed_numbers(text: str) -> list[str]:
    for pattern in NOT_PROSE:
        text = re.sub(pattern, " ", text, flags=re.DOTALL | re.MULTILINE)
    return [match.group(0) for match in TYPED_NUMBER.finditer(text)]


def test_the_guard_sees_a_typed_number_and_lets_labels_pass():
    assert typed_numbers("The student reaches 2.31 nats, 3 % less.") == ["2.31", "3 %"]
    assert (
        typed_numbers(
            "See Table 6, Eq. 8, Sec. 4.4, $E = 1.22$, `tau=2.0` and {glue:text}`loss:.3f` in Python 3.11."
        )
        == []
    )


@pytest.mark.parametrize("path", [*NOTEBOOKS, *PROSE], ids=lambda path: path.name)
def test_no_number_is_typed_into_prose(path):
    texts = (
        [source(cell) for cell in cells(path, "markdown")] if path.suffix == ".ipynb" else [path.read_text()]
    )
    found = [number for text in texts for number in typed_numbers(text)]
    assert not found, f"{path.name}: compute these and show them with glue: {found}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
class TestNotebook:
    def test_is_committed_without_outputs(self, path):
        for cell in cells(path, "code"):
            assert not cell["outputs"]
            assert cell["execution_count"] is None

    def test_runs_on_the_plain_kernel(self, path):
        assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"

    def test_cells_are_short_and_explained(self, path):
        previous = None
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                lines = source(cell).splitlines()
                assert len(lines) <= LONGEST_CELL, (
                    f"{len(lines)} lines: longer code belongs in the library\n{source(cell)}"
                )
                assert previous == "markdown" or "remove-cell" in cell["metadata"].get("tags", []), source(
                    cell
                )
            previous = (
                cell["cell_type"] if "remove-cell" not in cell["metadata"].get("tags", []) else previous
            )

    def test_imports_the_public_face_only(self, path):
        for cell in cells(path, "code"):
            for node in ast.walk(ast.parse(source(cell))):
                modules = []
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    modules = [node.module or ""]
                for module in modules:
                    assert module.split(".")[0] in ALLOWED, module
                    assert module in ("distill_lib", "distill_lib.figures") or not module.startswith(
                        "distill_lib"
                    )

    def test_every_figure_has_a_caption_a_name_and_words_for_those_who_cannot_see_it(self, path):
        for cell in cells(path, "code"):
            if re.search(r"^fig, \w+ = figures\.", source(cell), flags=re.MULTILINE):
                options = cell["metadata"].get("mystnb", {})
                assert options.get("figure", {}).get("caption"), source(cell)
                assert options.get("figure", {}).get("name", "").startswith("fig-"), source(cell)
                assert len(options.get("image", {}).get("alt", "")) > 40, source(cell)

    def test_no_shell_no_download(self, path):
        for cell in cells(path, "code"):
            assert not re.search(r"^\s*[!%]", source(cell), flags=re.MULTILINE), source(cell)

    def test_has_the_parts_every_chapter_has(self, path):
        text = "\n".join(source(cell) for cell in cells(path, "markdown"))
        for part in (
            "You will learn",
            "You need",
            "Takeaway",
            "Paper and here",
            "exercise-start",
            "solution-start",
            "What's next",
        ):
            assert part in text, f"{path.name} has no part '{part}'"


def test_every_page_is_in_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    listed = {toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])}
    present = {str(path.relative_to(ROOT).with_suffix("")) for path in [*NOTEBOOKS, *PROSE]}
    assert listed == present
