"""Small tables as text and as HTML, for what prints itself."""

from __future__ import annotations

import html


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table: the first column to the left, the others to the right.

    Parameters
    ----------
    rows : list of tuple of str
        All cells, the header first.

    Returns
    -------
    list of str
        One line per row.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def html_table(title: str, rows: list[tuple[str, ...]]) -> str:
    """Return a table as HTML that needs nothing else; every cell is escaped.

    Parameters
    ----------
    title : str
        The caption.
    rows : list of tuple of str
        All cells, the header first.

    Returns
    -------
    str
        One ``table`` element.
    """
    head = "".join(f"<th scope='col'>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        f"<tr><th scope='row' style='text-align:left'>{html.escape(row[0])}</th>"
        + "".join(f"<td style='text-align:right'>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows[1:]
    )
    return (
        f"<table><caption>{html.escape(title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
