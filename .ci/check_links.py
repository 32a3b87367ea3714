"""Every link, picture, script and anchor inside the built site leads somewhere: `check_links.py FOLDER`."""

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

ATTRIBUTES = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "source": "src"}
# What a reader follows may lead outside; what a page loads may not.
LOADS = {"img", "script", "iframe", "source"}


def broken_links(site: Path) -> list[str]:
    """List what is broken, one line each; empty when all is well."""
    # Themes keep templates among their static files; they are no pages.
    files = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.relative_to(site).parts]
    pages = {path: BeautifulSoup(path.read_bytes(), "html.parser") for path in files}
    anchors = {
        path: {tag["id"] for tag in soup.find_all(id=True)} | {tag["name"] for tag in soup.find_all("a", attrs={"name": True})}
        for path, soup in pages.items()
    }  # fmt: skip
    problems = []
    for page, soup in pages.items():
        for tag in soup.find_all(list(ATTRIBUTES)):
            target = tag.get(ATTRIBUTES[tag.name])
            if not target:
                continue
            parts = urlsplit(target)
            where = f"{page.relative_to(site)}: <{tag.name}> {target}"
            if parts.scheme in ("http", "https") or target.startswith("//"):
                loads = tag.name in LOADS or (tag.name == "link" and "stylesheet" in tag.get("rel", []))
                if loads:
                    problems.append(f"{where} is loaded from another host")
                continue
            if parts.scheme:
                continue
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if file.is_dir():
                file = file / "index.html"
            if not file.exists():
                problems.append(f"{where} leads to no file")
            elif parts.fragment and file in anchors and unquote(parts.fragment) not in anchors[file]:
                problems.append(f"{where} leads to no such place on that page")
    return problems


if __name__ == "__main__":
    found = broken_links(Path(sys.argv[1]).resolve())
    print("\n".join(found) or "All links inside the site lead somewhere.")
    raise SystemExit(bool(found))
