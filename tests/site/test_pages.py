"""Every page of the book: complete without a network, readable in light and dark and on a phone."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.site

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
PAGES = sorted(
    str(path.relative_to(SITE))
    for folder in ("book", "notebooks")
    for path in (SITE / folder).rglob("*.html")
) or ["book/index.html"]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
# A number beside a formula narrows the formula's own box, and what does not fit is hidden until one scrolls.
CLIPPED_FORMULAS = """[...document.querySelectorAll('article div.math mjx-container')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.closest('div.math').id || e.textContent)"""


def open_page(browser, url, *, scheme="light", viewport=DESK):
    """Open a page in a new profile; collect what it asked other hosts for and what it complained about."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    page = context.new_page()
    page.complaints = []
    origin = "/".join(url.split("/")[:3])

    def route(request_route):
        if request_route.request.url.startswith((origin, "data:", "blob:")):
            request_route.continue_()
        else:
            page.complaints.append(f"asked another host: {request_route.request.url}")
            request_route.abort()

    page.route("**/*", route)
    page.on(
        "console", lambda m: m.type in ("error", "warning") and page.complaints.append(f"{m.type}: {m.text}")
    )
    page.on("pageerror", lambda error: page.complaints.append(f"exception: {error}"))
    page.on("response", lambda r: r.status >= 400 and page.complaints.append(f"{r.status}: {r.url}"))
    page.goto(url, wait_until="networkidle")
    return page


def close(page):
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_complete_and_quiet(browser, site_url, name, scheme):
    page = open_page(browser, f"{site_url}/{name}", scheme=scheme)
    try:
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        sources = page.evaluate("[...document.querySelectorAll('article .math')].length")
        typeset = page.evaluate("[...document.querySelectorAll('article mjx-container')].length")
        assert typeset >= sources, f"{sources} formulas, {typeset} typeset"
        assert page.evaluate("document.querySelectorAll('mjx-merror').length") == 0
        pictures = page.evaluate(
            "[...document.querySelectorAll('article img')].map(i => [i.src, i.alt, i.complete && i.naturalWidth > 0])"
        )
        for source, alt, loaded in pictures:
            assert loaded, f"{source} did not load"
            assert alt, f"{source} has no text for those who cannot see it"
        assert page.complaints == []
    finally:
        close(page)


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone(browser, site_url, name):
    page = open_page(browser, f"{site_url}/{name}", viewport=PHONE)
    try:
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"the page is {width} px wide: it scrolls sideways"
        clipped = page.evaluate(
            """[...document.querySelectorAll('article div.math, article table, article .cell_output pre')]
               .filter(e => e.scrollWidth > e.clientWidth + 1
                         && !['auto', 'scroll'].includes(getComputedStyle(e).overflowX)
                         && !['auto', 'scroll'].includes(getComputedStyle(e.parentElement).overflowX))
               .map(e => e.outerHTML.slice(0, 120))"""
        )
        assert clipped == [], "wider than the screen, and cannot be scrolled"
        assert page.evaluate(CLIPPED_FORMULAS) == [], "write them in more lines"
        assert page.complaints == []
    finally:
        close(page)


@pytest.mark.parametrize("name", PAGES)
def test_formulas_are_not_clipped_on_a_desk(browser, site_url, name):
    page = open_page(browser, f"{site_url}/{name}")
    try:
        assert page.evaluate(CLIPPED_FORMULAS) == []
    finally:
        close(page)


def test_root_leads_to_the_landing_page(browser, site_url):
    page = open_page(browser, site_url + "/")
    try:
        page.wait_for_url("**/book/index.html")
        assert page.title()
    finally:
        close(page)


def test_search_finds_a_word_without_a_network(browser, site_url):
    page = open_page(browser, f"{site_url}/search.html?q=teacher")
    try:
        page.wait_for_selector("ul.search li a", timeout=10_000)
        assert page.complaints == []
    finally:
        close(page)
