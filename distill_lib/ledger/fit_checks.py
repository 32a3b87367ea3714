"""Claims about coefficients and errors of fits, judged by the fits to public runs that are on record."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import pandas as pd

from distill_lib.ledger.registry import LAW_ACCURACY, Check, Finding, Verdict, check, yes
from distill_lib.scaling.laws import DistillationLaw, published_intervals
from distill_lib.scaling.public_fits import read_fits

CHINCHILLA, STUDENTS = "Chinchilla, free gamma", "students, whole curves resampled"
"""The fits of the record that speak of the two laws."""

_TELLING = 0.25  # half-width of an interval, relative, beyond which it tells nothing of a coefficient

_fits = functools.cache(read_fits)


@check("c01")
def _form_describes_losses(law: DistillationLaw) -> Finding:
    fits = _fits()
    row, forms = _row(fits.summary, CHINCHILLA), fits.forms["supervised"]
    held = {form: _row(forms, form)["held_out"] for form in ("free gamma", "gamma = 1")}
    return yes(
        row["mean"] < 100.0 * LAW_ACCURACY,
        f"{row['runs']:.0f} Chinchilla runs, another corpus: mean error {row['mean']:.2f} %, sizes held out "
        f"{held['free gamma']:.2f} % (gamma = 1: {held['gamma = 1']:.2f} %)",
    )


@check("c21")
def _error_of_both_laws(law: DistillationLaw) -> Finding:
    fits = _fits()
    fitted = [_row(fits.summary, name)["mean"] for name in (CHINCHILLA, STUDENTS)]
    beyond = [_row(fits.extrapolation, name)["error predicted"] for name in ("free gamma", "published form")]
    verdict: Verdict = "same"
    if max(beyond) > 100.0 * LAW_ACCURACY:
        verdict = "trend"
    if max(fitted) > 100.0 * LAW_ACCURACY:
        verdict = "differs"
    return Finding(
        f"fits to public runs, mean error: supervised (Chinchilla) {fitted[0]:.2f} %, distillation {fitted[1]:.2f} %; lower "
        f"losses predicted from higher ones to {beyond[0]:.2f} % and {beyond[1]:.2f} %",
        verdict,
    )


def _supervised(name: str) -> Check:
    """Make the check of a supervised coefficient: another corpus cannot confirm it."""

    def compare(law: DistillationLaw) -> Finding:
        row = _row(_fits().intervals[CHINCHILLA], name)
        return Finding(
            f"the runs are not public; another corpus, the Chinchilla runs, asks for {_interval(row)}",
            "not testable here",
        )

    return compare


def _student(name: str) -> Check:
    """Make the check of a coefficient of the distillation law, by the public points read off the paper's figures."""

    def compare(law: DistillationLaw) -> Finding:
        row = _row(_fits().intervals[STUDENTS], name)
        printed = _row(published_intervals("distillation"), name)["value"]
        wide = (row["high"] - row["low"]) / 2.0 > _TELLING * abs(row["value"])
        inside = row["low"] <= printed <= row["high"]
        words = f"public points read off the paper's figures ask for {_interval(row)}"
        if name in ("c1", "d1"):
            return Finding(f"{words}, without an end: only k = c1 f1 d1^(-1/f1) is seen", "not testable here")
        if inside and wide:
            return Finding(f"{words}: too wide to tell", "not testable here")
        return yes(inside, words)

    return compare


def _row(table: pd.DataFrame, name: str) -> dict[str, float]:
    values = table.loc[[name]].to_dict("records")[0]
    return {str(column): float(value) for column, value in values.items()}


def _interval(row: Mapping[str, float]) -> str:
    return f"{row['value']:.4g}, 90 % [{row['low']:.3g}, {row['high']:.3g}]"


for _claim, _name in zip(
    ("c02", "c03", "c04", "c05", "c06", "c07"), ("E", "A", "B", "alpha", "beta", "gamma"), strict=True
):
    check(_claim)(_supervised(_name))

for _claim, _name in (
    ("c08", "A"), ("c10", "alpha"), ("c11", "beta"), ("c12", "gamma"), ("c13", "c0"), ("c14", "c1"), ("c15", "f1"),
    ("c16", "d1"),
):  # fmt: skip
    check(_claim)(_student(_name))
