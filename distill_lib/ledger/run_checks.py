"""Claims about runs, judged by our own: small models, the paper's designs, seeds and intervals beside every answer.

Our models are thousands of times smaller than the paper's, on another corpus. So a number that the paper states
for its sizes is not expected here; what can hold or fail is its direction, and that alone is judged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd

from distill_lib import paper, runs
from distill_lib.ledger.registry import LAW_ACCURACY, Check, Finding, Verdict, check, claimed, yes
from distill_lib.scaling.best_settings import best_settings
from distill_lib.scaling.comparison import mean_interval
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.learning_rates import DISTILLED, SCALED, best_rates
from distill_lib.scaling.mapping_record import difference_in_words, paired_rise, read_mapping_runs
from distill_lib.scaling.records import place
from distill_lib.scaling.selections import missing, select, truncated, without_teacher
from distill_lib.scaling.teachers_compared import beyond_the_loss
from distill_lib.scaling.wording import count

PRESET = "mini"
"""Scale of the runs that claims are judged by."""


@functools.cache
def our_runs() -> pd.DataFrame | None:
    """Read the committed table of runs.

    Returns
    -------
    pandas.DataFrame or None
        The table; None where it is not at hand.
    """
    path = place(f"runs/{PRESET}.csv")
    return runs.read(path) if path.is_file() else None


def judged_by(protocol: str) -> Callable[[Callable[[pd.DataFrame], Finding]], Check]:
    """Make a check of a function of a protocol's runs; it is open until all of them are there.

    Parameters
    ----------
    protocol : str
        Name of the protocol.

    Returns
    -------
    callable
        Decorator.
    """

    def enter(judge: Callable[[pd.DataFrame], Finding]) -> Check:
        @functools.wraps(judge)
        def look(law: DistillationLaw) -> Finding:
            table = our_runs()
            if table is None:
                return Finding("waits for runs of our own: none are at hand", "open")
            lacking = missing(table, PRESET, protocol)
            if lacking:
                return Finding(f"waits for {lacking} more runs of the protocol {protocol}", "open")
            return judge(select(table, PRESET, protocol))

        return look

    return enter


@check("c50")
def _best_width_of_a_teacher(law: DistillationLaw) -> Finding:
    return _mapping("width")


@check("c51")
def _best_length_of_a_teacher(law: DistillationLaw) -> Finding:
    return _mapping("steps")


@check("c64")
def _best_learning_rate(law: DistillationLaw) -> Finding:
    rates = _rates(SCALED)
    if rates is None:
        return Finding("waits for the runs of the sweep learning-rates", "open")
    spread = rates["lr"].max() / rates["lr"].min()
    words = f"best base rate of {len(rates)} sizes: {rates['lr'].min():.3f} to {rates['lr'].max():.3f}, at another base width"
    # Half a step of the sweep is as close as it can tell.
    return Finding(words, "trend" if spread < np.sqrt(2.0) else "differs")


@check("c65")
def _change_over_a_decade(law: DistillationLaw) -> Finding:
    rates = [_rates(arm) for arm in (SCALED, DISTILLED)]
    if any(rows is None for rows in rates):
        return Finding("waits for the runs of the sweep learning-rates", "open")
    alone, taught = (float(rows["decade"].max()) for rows in rates if rows is not None)
    most = float(paper.table("claims").set_index("claim")["high"].to_dict()["c65"])
    return yes(
        max(alone, taught) < most,
        f"{alone:.3f} nats at most half a decade from the best rate, {taught:.3f} distilled",
    )


@check("c24")
@judged_by("teacher_isoflops")
def _the_teachers_loss_alone(table: pd.DataFrame) -> Finding:
    found = beyond_the_loss(table)
    worst = float(found["worst"].max())
    words = (
        f"{found['teachers'].max()} teachers: students lie within {100 * worst:.2f} % of one curve of L_T; they scatter by "
        f"{found['scatter'].max():.4f} nats, of which seeds explain {found['seeds'].max():.4f}"
    )
    if worst < LAW_ACCURACY:
        return Finding(words, "same")
    return Finding(words, "trend" if worst < 2 * LAW_ACCURACY else "differs")


@check("c57")
@judged_by("capacity_gap")
def _divergence_grows(table: pd.DataFrame) -> Finding:
    taught = _taught(table)
    steps, ends = [], []
    for _, student in taught.groupby(["N", "D"]):
        mean = student.groupby("N_T")["kl_teacher"].mean().astype(float).to_numpy()
        steps += list(np.diff(mean) > 0)
        ends.append(mean[-1] > mean[0])
    words = f"grows from one teacher size to the next in {sum(steps)} of {len(steps)} cases, from end to end in {sum(ends)} of {len(ends)}"
    verdict: Verdict = "same" if all(steps) else "trend" if all(ends) else "differs"
    return Finding(words, verdict)


@check("c58")
@judged_by("long_students")
def _passes_and_returns(table: pd.DataFrame) -> Finding:
    taught = _taught(table)
    student = taught[taught["N"] > taught["N_T"]]
    above = student.assign(above=student["L"] - student["L_T"]).pivot_table(
        index="seed", columns="D", values="above"
    )
    tokens = [float(D) for D in above.columns.to_list()]
    least, last = tokens[int(above.mean().to_numpy().argmin())], tokens[-1]
    dip, end = (mean_interval(above[D].to_numpy()) for D in (least, last))
    words = (
        f"least {dip.mean:+.4f} [{dip.low:+.4f}, {dip.high:+.4f}] nats from the teacher at {count(least)} tokens, "
        f"{end.mean:+.4f} [{end.low:+.4f}, {end.high:+.4f}] at {count(last)}"
    )
    passed, returned = dip.high < 0, least != last and end.mean > dip.mean
    return Finding(words, "same" if passed and returned else "trend" if passed else "differs")


@check("c59")
@judged_by("student_isoflops")
def _larger_students_pass(table: pd.DataFrame) -> Finding:
    taught = _taught(table)
    above = taught.assign(above=taught["L"] - taught["L_T"])
    groups = above.groupby(["N_T", "N", "budget"])["above"]
    mean = groups.agg(above="mean", high=lambda values: mean_interval(values.to_numpy()).high).reset_index()
    passed = mean[mean["high"] < 0]  # beyond what seeds explain
    sizes = sorted(taught["N_T"].unique())
    won = sorted(passed["N_T"].unique())
    words = "passed: " + (", ".join(f"the teacher of {count(float(N))}" for N in won) or "none")
    words += f" of {len(sizes)}, by {len(passed)} of {len(mean)} students"
    if len(passed):
        words += f", by {-passed['above'].min():.3f} nats at most"
    larger = bool((passed["N"] > passed["N_T"]).all())
    weak_alone = bool(won) and max(won) < sizes[-1]
    return Finding(words, "trend" if weak_alone and larger else "differs")


@check("c60")
@judged_by("teacher_isoflops")
def _which_teachers_help(table: pd.DataFrame) -> Finding:
    taught = _taught(table)
    alone = without_teacher(table).set_index(["N", "seed"])["L"].rename("alone")
    gain = taught.join(alone, on=["N", "seed"]).assign(gain=lambda rows: rows["alone"] - rows["L"])
    mean = gain.groupby(["N", "budget_T", "N_T"])["gain"].mean() > 0
    small, large = (mean.loc[N] for N in sorted(taught["N"].unique()))
    by_budget = large.groupby("budget_T").agg(["sum", "size"])
    told = ", ".join(f"{row['sum']} of {row['size']} at {C:.0e} FLOPs" for C, row in by_budget.iterrows())
    words = f"help the smaller student: {small.sum()} of {len(small)}; the larger one: {told}"
    only_best = not large.loc[list(by_budget.index[:-1])].any()
    verdict: Verdict = (
        "same" if small.all() and only_best else "trend" if small.mean() > large.mean() else "differs"
    )
    return Finding(words, verdict)


@check("c61")
@judged_by("mixing")
def _flat_in_lambda(table: pd.DataFrame) -> Finding:
    taught = _taught(table)
    mean = taught.pivot_table(index=["N", "N_T"], columns="lam", values="L")
    flat = mean.loc[:, mean.columns.to_numpy(dtype=float) >= claimed("c61")]
    steep = mean.max(axis=1) - mean.min(axis=1)
    words = (
        f"from lambda = {claimed('c61'):g} to 1 the loss changes by {(flat.max(axis=1) - flat.min(axis=1)).max():.3f} nats at most, "
        f"from 0 to 1 by {steep.max():.3f}"
    )
    moved = flat.max(axis=1) - flat.min(axis=1)
    if (moved < LAW_ACCURACY * flat.min(axis=1)).all():
        return Finding(words, "same")
    return Finding(words, "trend" if (moved < 0.5 * steep).mean() > 0.5 else "differs")


@check("c62")
@judged_by("temperature")
def _best_temperature(table: pd.DataFrame) -> Finding:
    best = best_settings(table, "tau")
    exact = best["best"] == claimed("c62")
    alike = (best["low"] <= claimed("c62")) & (best["high"] >= claimed("c62"))
    words = (
        f"tau = {claimed('c62'):g} is best in {exact.sum()} of {len(best)} pairs of student and teacher, "
        f"and not told from the best by {best['seeds'].min()} seeds in {alike.sum()}"
    )
    return Finding(words, "same" if alike.all() else "trend" if alike.mean() > 0.5 else "differs")


@check("c63")
@judged_by("temperature")
def _high_temperatures_hurt(table: pd.DataFrame) -> Finding:
    taught = _taught(table)
    hot, cost = taught["tau"].max(), []
    for _, pair in taught.groupby(["N", "N_T"]):
        by_seed = pair.pivot_table(index="seed", columns="tau", values="L")
        best = int(by_seed.mean().to_numpy().argmin())
        cost.append(by_seed.to_numpy()[:, -1] - by_seed.to_numpy()[:, best])
    hurts = [values.mean() > 0 and mean_interval(values).low > 0 for values in cost]
    most = max(values.mean() for values in cost)
    words = f"tau = {hot:g} is worse than the best in {sum(hurts)} of {len(hurts)} pairs beyond what seeds explain, by up to {most:.3f} nats"
    return Finding(words, "same" if all(hurts) else "trend" if sum(hurts) > len(hurts) / 2 else "differs")


@check("c66", "c67")
@judged_by("truncation")
def _truncation_costs(table: pd.DataFrame) -> Finding:
    cost = _costs_of_truncation(table)
    kept = cost[cost["missing"].eq("renormalise") & cost["lam"].eq(1.0)]
    top_k = kept[kept["keep"] == "top_k"].groupby("number")["cost"].mean()
    top_p = kept[kept["keep"] == "top_p"].groupby("number")["cost"].mean()
    words = (
        f"renormalised, another vocabulary: top-{top_k.index[0]:g} costs {top_k.iloc[0]:+.2f} nats, top-{top_k.index[-1]:g} "
        f"{top_k.iloc[-1]:+.3f}; p = {top_p.index[0]:g} {top_p.iloc[0]:+.2f}, p = {top_p.index[-1]:g} {top_p.iloc[-1]:+.3f}"
    )
    falls = top_k.iloc[0] > top_k.iloc[-1] and top_p.iloc[0] > top_p.iloc[-1] and top_k.iloc[0] > 0
    return Finding(words, "trend" if falls else "differs")


@check("c68")
@judged_by("truncation")
def _lambda_mends(table: pd.DataFrame) -> Finding:
    cost = _costs_of_truncation(table)
    kept = cost[cost["missing"].eq("renormalise") & cost["keep"].eq("top_k")]
    mean = kept.pivot_table(index="number", columns="lam", values="cost").dropna()
    full, mixed = mean[1.0], mean[0.7]
    words = f"lambda = 0.7 lowers the cost of top-k in {(mixed < full).sum()} of {len(mean)} cases: at k = {mean.index[0]:g} from {full.iloc[0]:.2f} to {mixed.iloc[0]:.2f} nats"
    costly = full > 0.02
    verdict: Verdict = "trend" if (mixed < full)[costly].all() and costly.any() else "differs"
    return Finding(words, verdict)


@check("c69", "c70")
def _losses_of_directions(law: DistillationLaw) -> Finding:
    return Finding(
        "a loss of the paper's own models; the advantage of one direction is c71", "not testable here"
    )


@check("c71")
@judged_by("direction")
def _forward_is_better(table: pd.DataFrame) -> Finding:
    taught = _taught(table)
    by_seed = taught.pivot_table(index=["N", "N_T", "seed"], columns="direction", values="L")
    gain = by_seed["reverse"] - by_seed["forward"]
    mean = gain.groupby(["N", "N_T"]).mean()
    words = f"forward is better in {(mean > 0).sum()} of {len(mean)} pairs of student and teacher, by {mean.min():.3f} to {mean.max():.3f} nats"
    return Finding(words, "trend" if (mean > 0).all() else "differs")


def _taught(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["objective"] == "distilled"]


def _costs_of_truncation(table: pd.DataFrame) -> pd.DataFrame:
    """Loss of each truncated student over that of the same student and seed who sees everything."""
    taught = _taught(table)
    whole = (
        taught[taught["truncation"].isna() & taught["lam"].eq(1.0)]
        .set_index(["N", "seed"])["L"]
        .rename("whole")
    )
    some = truncated(taught[taught["truncation"].notna()])
    return some.join(whole, on=["N", "seed"]).assign(cost=lambda rows: rows["L"] - rows["whole"])


def _mapping(study: str) -> Finding:
    """Whether a mapping student is worse under the largest teacher than under the best, which lies inside."""
    try:
        found = paired_rise(read_mapping_runs(), study=study)
    except (FileNotFoundError, ValueError):
        return Finding("waits for the appendix's small trainings", "open")
    best = sorted({f"{teacher:,}" for teacher in found["teacher"]}, key=len)
    words = (
        f"best teacher {' or '.join(best)}; from there to the largest {difference_in_words(found['rise'])}"
    )
    if len(found) < 2:
        return Finding(f"waits for more trials: {words}", "open")
    return Finding(words, "same" if mean_interval(found["rise"]).low > 0 else "trend")


def _rates(arm: str) -> pd.DataFrame | None:
    """Best learning rates of the sizes of an arm; None where there are no runs."""
    path = place("runs/learning-rates.csv")
    if not path.is_file():
        return None
    found = best_rates(runs.read(path))
    rows = found[found["arm"] == arm]
    return rows if len(rows) else None
