"""What each protocol and its figures cost: the time that the committed runs took, beside what was predicted.

Run it from the repository: ``python benchmarks/protocols.py``; a second. Nothing is trained: it adds up the column
``seconds`` of the committed tables, and halves it for two workers. A run that several protocols ask for is paid
for in each of them, as if each were run alone; "all" counts it once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from distill_lib import runs
from distill_lib.scaling import protocols
from distill_lib.scaling.prices import price_list

TABLES = Path(__file__).resolve().parents[1] / "data" / "runs"


def cost(preset: str, table: pd.DataFrame, *, workers: int = 2) -> pd.DataFrame:
    """Add up what each protocol of a preset took, teachers included.

    Parameters
    ----------
    preset : str
        Name of a scale.
    table : pandas.DataFrame
        Its runs table.
    workers : int
        Workers that share the runs.

    Returns
    -------
    pandas.DataFrame
        One row per protocol and one for all: ``protocol``, ``figures``, ``runs`` in the design, ``there`` in the table,
        ``predicted`` and ``took``, minutes on so many idle cores; ``took`` is empty where runs are missing.
    """
    seconds = table.set_index("spec_hash")["seconds"]
    priced = price_list(preset, workers=workers)
    every = [name for name in priced["protocol"] if name != "all"]
    rows = []
    for row in priced.to_dict("records"):
        names = every if row["protocol"] == "all" else [row["protocol"]]
        wanted = [spec.spec_hash for spec in protocols.preset(preset, names)]
        there = seconds.index.intersection(wanted)
        whole = len(there) == len(wanted)
        rows.append(
            {
                "protocol": row["protocol"],
                "figures": row["figures"],
                "runs": len(wanted),
                "there": len(there),
                "predicted": row["minutes"],
                "took": seconds[there].sum() / 60 / workers if whole else float("nan"),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["mini", "mini-language"], help="scales")
    parser.add_argument("--workers", type=int, default=2, help="workers that share the runs")
    options = parser.parse_args()
    for preset in options.presets:
        path = TABLES / f"{preset}.csv"
        if not path.exists():
            print(f"{preset}: no committed table")
            continue
        print(
            f"{preset}: minutes on {options.workers} cores\n\n| protocol | figures | runs | predicted | took |"
        )
        print("|---|---|---|---|---|")
        for row in cost(preset, runs.read(path), workers=options.workers).itertuples():
            took = "not complete" if row.there < row.runs else f"{row.took:.1f}"
            print(f"| {row.protocol} | {row.figures} | {row.runs} | {row.predicted:.1f} | {took} |")
        print()


if __name__ == "__main__":
    main()
