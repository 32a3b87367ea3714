"""Bootstraps of a fit, and intervals for whatever follows from its law.

A resample is a row of weights on the same runs, so all of them are solved at once. Single coefficients trade
off against each other; what they do together, a loss, an optimal size, a plan, is known much better, and
every such quantity gets its interval from the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from distill_lib.scaling import _checks, formulas
from distill_lib.scaling.crossover import crossover
from distill_lib.scaling.laws import DistillationLaw, SupervisedLaw, best_teacher, compute_optimal
from distill_lib.scaling.planning import plan

Kind = Literal["case", "cluster", "residual"]
KINDS: tuple[Kind, ...] = ("case", "cluster", "residual")
"""Ways to resample: single runs, whole clusters of runs, or residuals."""


def resampled_weights(
    runs: int, draws: int, rng: np.random.Generator, clusters: ArrayLike | None = None
) -> np.ndarray:
    """Draw how often each run occurs in each resample.

    Parameters
    ----------
    runs : int
        How many runs there are.
    draws : int
        How many resamples.
    rng : numpy.random.Generator
        Source of randomness.
    clusters : array_like, optional
        Label of each run; runs with one label are drawn together.

    Returns
    -------
    numpy.ndarray
        Counts, shape [draws, runs].

    Raises
    ------
    ValueError
        If there are not as many labels as runs, or fewer than three clusters.
    """
    if clusters is None:
        return rng.multinomial(runs, np.full(runs, 1.0 / runs), size=draws).astype(float)
    labels, members = np.unique(np.asarray(clusters), return_inverse=True)
    if members.shape != (runs,):
        raise ValueError(f"clusters has shape {list(members.shape)}; give one label for each of {runs} runs")
    if labels.size < 3:
        raise ValueError(f"clusters has {labels.size} distinct labels; resampling needs at least 3")
    counts = rng.multinomial(labels.size, np.full(labels.size, 1.0 / labels.size), size=draws)
    return np.asarray(counts[:, members], dtype=float)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Laws fitted to resamples, and intervals for what follows from them.

    Parameters
    ----------
    law : SupervisedLaw or DistillationLaw
        The fit that was resampled.
    coefficients : pandas.DataFrame
        One row per draw, one column per coefficient.
    supervised : pandas.DataFrame or None
        For a distillation law, the supervised coefficients that each draw was fitted with.
    kind : {"case", "cluster", "residual"}
        What was resampled.
    converged : numpy.ndarray
        Whether the search of a draw ended at an optimum, shape [draws].
    """

    law: SupervisedLaw | DistillationLaw
    coefficients: pd.DataFrame
    supervised: pd.DataFrame | None
    kind: Kind
    converged: np.ndarray

    def __len__(self) -> int:
        return len(self.coefficients)

    def __str__(self) -> str:
        head = f"{len(self)} {self.kind} resamples, {self.converged.mean():.1%} converged; 90 % intervals"
        return f"{head}\n{self.intervals().to_string(float_format=lambda value: f'{value:.5g}')}"

    @property
    def _names(self) -> list[str]:
        return [str(name) for name in self.coefficients]

    def intervals(self, level: float = 0.9) -> pd.DataFrame:
        """Return intervals of the coefficients and of the combinations that runs can tell better.

        Parameters
        ----------
        level : float
            Coverage; the interval leaves out half of the rest on each side.

        Returns
        -------
        pandas.DataFrame
            Indexed by coefficient: ``value`` of the fit, ``low`` and ``high``. ``a`` and ``b`` are the exponents of
            compute-optimal size and tokens (Table 6), ``k`` is c1 f1 d1^(-1/f1).
        """
        point = self._with_combinations({name: getattr(self.law, name) for name in self._names})
        draws = self._with_combinations({name: self.coefficients[name] for name in self._names})
        low, high = self._ends(np.stack([np.asarray(draws[name]) for name in point]), level)
        return pd.DataFrame(
            {"value": list(point.values()), "low": low, "high": high},
            index=pd.Index(list(point), name="coefficient"),
        )

    def _with_combinations(self, values: Mapping[str, Any]) -> dict[str, Any]:
        alpha, beta = values["alpha"], values["beta"]
        whole = {**values, "a": beta / (alpha + beta), "b": alpha / (alpha + beta)}
        if isinstance(self.law, DistillationLaw):
            slope = 1.0 / values["f1"]
            whole["k"] = np.exp(np.log(values["c1"] * values["f1"]) - slope * np.log(values["d1"]))
        return whole

    def _ends(self, draws: np.ndarray, level: float) -> np.ndarray:
        """Return both ends of the percentile interval along the last axis, shape [2, ...]."""
        level = _checks.number("level", level, 0.01, 0.999, "it is a coverage such as 0.9")
        tail = 50.0 * (1.0 - level)
        ends = np.full((2, *draws.shape[:-1]), np.nan)
        answered = ~np.isnan(draws).all(axis=-1)
        ends[:, answered] = np.nanpercentile(draws[answered], [tail, 100.0 - tail], axis=-1)
        return ends

    def _columns(self) -> dict[str, Any]:
        """Return the coefficients as columns [draws, 1], as the formulas take them."""
        columns: dict[str, Any] = as_columns(self.coefficients)
        if isinstance(self.law, DistillationLaw):
            given = self.supervised is None
            columns["supervised"] = self.law.supervised.to_dict() if given else as_columns(self.supervised)
        return columns

    def laws(self, count: int | None = None) -> list[SupervisedLaw | DistillationLaw]:
        """Return the laws of the draws.

        Parameters
        ----------
        count : int, optional
            Only the first so many.

        Returns
        -------
        list of SupervisedLaw or DistillationLaw
            One per draw.
        """
        rows = _records(self.coefficients.iloc[:count])
        if isinstance(self.law, SupervisedLaw):
            return [SupervisedLaw(**row, name="resample") for row in rows]
        if self.supervised is None:
            bases = [self.law.supervised] * len(rows)
        else:
            bases = [SupervisedLaw(**row) for row in _records(self.supervised.iloc[:count])]
        return [
            DistillationLaw(**row, supervised=base, name="resample")
            for row, base in zip(rows, bases, strict=True)
        ]

    def predict(self, *where: ArrayLike, level: float = 0.9) -> pd.DataFrame:
        """Return losses with the band of the law around them.

        Parameters
        ----------
        *where : array_like
            N and D, or N_S, D_S and L_T; they broadcast.
        level : float
            Coverage. The band is that of the law: single runs scatter around it.

        Returns
        -------
        pandas.DataFrame
            One row per point, in the order of the broadcast arguments: ``value``, ``low``, ``high``.
        """
        value = np.asarray(self.law.loss(*where))
        points = [np.ravel(axis) for axis in np.broadcast_arrays(*(np.asarray(w, float) for w in where))]
        low, high = np.empty(value.size), np.empty(value.size)
        size = max(1, 2_000_000 // len(self))
        for begin in range(0, value.size, size):
            part = slice(begin, begin + size)
            here = [axis[part] for axis in points]
            if isinstance(self.law, SupervisedLaw):
                losses = formulas.supervised_loss(here[0], here[1], self._columns())
            else:
                losses = formulas.distillation_loss(here[0], here[1], here[2], self._columns(), np)
            low[part], high[part] = self._ends(np.asarray(losses).T, level)
        return pd.DataFrame({"value": value.ravel(), "low": low, "high": high})

    def compute_optimal(self, C: ArrayLike, level: float = 0.9) -> pd.DataFrame:
        """Return compute-optimal size and tokens of supervised training with their intervals.

        Parameters
        ----------
        C : array_like
            Budgets, FLOPs.
        level : float
            Coverage.

        Returns
        -------
        pandas.DataFrame
            One row per budget: ``C``, and value, low and high of N, of D and of tokens per parameter M.

        Raises
        ------
        TypeError
            For the bootstrap of a distillation law; use that of its supervised law.
        """
        if not isinstance(self.law, SupervisedLaw):
            raise TypeError("compute_optimal is a question to the supervised law; bootstrap its fit")
        budgets = np.atleast_1d(np.asarray(_checks.positive("C", C)))
        N, D = (np.asarray(part) for part in self.law.compute_optimal(budgets))
        N_draws, D_draws = compute_optimal(self._columns(), np.log(budgets))
        table = {"C": budgets}
        for name, value, draws in (("N", N, N_draws), ("D", D, D_draws), ("M", D / N, D_draws / N_draws)):
            table[name] = value
            table[f"{name}_low"], table[f"{name}_high"] = self._ends(draws.T, level)
        return pd.DataFrame(table)

    def best_teacher(self, N_S: ArrayLike, D_S: ArrayLike, level: float = 0.9) -> pd.DataFrame:
        """Return the teacher loss that suits each student best, the capacity gap, with its interval.

        Parameters
        ----------
        N_S, D_S : array_like
            Students' parameters and tokens; they broadcast.
        level : float
            Coverage.

        Returns
        -------
        pandas.DataFrame
            One row per student: value, low and high of ``L_T`` and of the loss ``L_S`` reached with it.

        Raises
        ------
        TypeError
            For the bootstrap of a supervised law.
        """
        law = self._distillation("best_teacher")
        sizes, tokens = (np.ravel(axis) for axis in np.broadcast_arrays(np.asarray(N_S), np.asarray(D_S)))
        L_T, L_S = (np.atleast_1d(part) for part in law.best_teacher(sizes, tokens))
        L_T_draws, L_S_draws = best_teacher(self._columns(), sizes.astype(float), tokens.astype(float))
        table = {"N_S": sizes, "D_S": tokens}
        for name, value, draws in (("L_T", L_T, L_T_draws), ("L_S", L_S, L_S_draws)):
            table[name] = value
            table[f"{name}_low"], table[f"{name}_high"] = self._ends(draws.T, level)
        return pd.DataFrame(table)

    def derive(
        self, quantity: Callable[[Any], Any], *, level: float = 0.9, draws: int | None = None
    ) -> pd.DataFrame:
        """Return anything that is computed from a law, with its interval.

        Parameters
        ----------
        quantity : callable
            Takes a law, returns a number or a mapping of numbers; NaN where a law has no answer.
        level : float
            Coverage.
        draws : int, optional
            Only the first so many draws, for slow quantities.

        Returns
        -------
        pandas.DataFrame
            One row per number: ``value`` of the fit, ``low``, ``high``, and the share of draws ``without`` an answer.
        """

        def numbers(law: Any) -> dict[str, float]:
            found = quantity(law)
            whole = found if isinstance(found, Mapping) else {"quantity": found}
            return {name: float(value) for name, value in whole.items()}

        point = numbers(self.law)
        table = pd.DataFrame([numbers(law) for law in self.laws(draws)], columns=list(point))
        low, high = self._ends(table.to_numpy(dtype=float).T, level)
        return pd.DataFrame(
            {
                "value": list(point.values()),
                "low": low,
                "high": high,
                "without": table.isna().mean().to_numpy(),
            },
            index=pd.Index(list(point), name="quantity"),
        )

    def plan(
        self,
        N_S: float,
        C: float,
        scenario: str = "teacher_inference",
        *,
        level: float = 0.9,
        draws: int = 500,
    ) -> pd.DataFrame:
        """Return the compute-optimal plan with the interval of each of its numbers.

        Parameters
        ----------
        N_S : float
            Parameters of the student.
        C : float
            Total compute, FLOPs.
        scenario : str
            Who pays for the teacher.
        level : float
            Coverage.
        draws : int
            How many draws to plan with.

        Returns
        -------
        pandas.DataFrame
            ``value``, ``low``, ``high`` of L_S, L_T, D_S, N_T, D_T, L_supervised and of the ``advantage``; the share of
            draws in which distilling wins is ``attrs["distil"]``.
        """
        self._distillation("plan")
        wins = []

        def numbers(law: DistillationLaw) -> dict[str, float]:
            found = plan(N_S=N_S, C=C, scenario=scenario, law=law)
            wins.append(found.L_S < found.L_supervised)
            names = ("L_S", "L_supervised", "L_T", "D_S", "N_T", "D_T")
            return {**{name: _number(getattr(found, name)) for name in names}, "advantage": found.advantage}

        table = self.derive(numbers, level=level, draws=draws)
        table.attrs["distil"] = float(np.mean(wins[1:]))
        return table

    def crossover(
        self, N_S: float, scenario: str = "teacher_inference", *, level: float = 0.9, draws: int = 100
    ) -> pd.DataFrame:
        """Return the compute at which supervised training overtakes distillation, with its interval.

        Parameters
        ----------
        N_S : float
            Parameters of the student.
        scenario : str
            Who pays for the teacher.
        level : float
            Coverage.
        draws : int
            How many draws to search with.

        Returns
        -------
        pandas.DataFrame
            ``value``, ``low``, ``high`` of ``C``, and the share of draws ``without`` a crossover.
        """
        self._distillation("crossover")
        return self.derive(
            lambda law: {"C": _number(crossover(N_S, scenario, law).C)}, level=level, draws=draws
        )

    def _distillation(self, asked: str) -> DistillationLaw:
        if not isinstance(self.law, DistillationLaw):
            raise TypeError(f"{asked} is a question to a distillation law; bootstrap its fit")
        return self.law


def as_columns(table: pd.DataFrame | None) -> dict[str, np.ndarray]:
    """Return coefficients of many laws as columns that broadcast against points.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per law, one column per coefficient.

    Returns
    -------
    dict of str to numpy.ndarray
        Shape [laws, 1] each.
    """
    assert table is not None
    return {str(name): table[name].to_numpy()[:, None] for name in table}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): float(value) for name, value in row.items()} for row in table.to_dict("records")]


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
