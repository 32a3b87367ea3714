"""The two laws as frozen, vectorised objects, with their limits, inverses and the best teacher.

``published_law()`` gives the paper's coefficients. Losses are nats per token, ``N`` counts non-embedding
parameters, ``D`` counts tokens; arguments broadcast, and scalars in give a float out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from distill_lib import paper
from distill_lib.scaling import _checks, formulas

if TYPE_CHECKING:
    import pandas as pd

Reading = Literal["reconciled", "printed"]
READINGS: tuple[Reading, ...] = ("reconciled", "printed")

LOSS_OF_IGNORANCE = float(np.log(formulas.VOCABULARY))
"""Cross-entropy of a uniform guess over the paper's vocabulary, nats per token."""


class _Coefficients:
    """What both laws share: coefficients that are checked, and their way to a plain dict and back."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.name == "name":
                continue
            if field.name == "supervised":
                if not isinstance(value, SupervisedLaw):
                    raise ValueError(f"supervised = {value!r} must be a SupervisedLaw")
                continue
            good = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
            if not good or not np.isfinite(value) or value < 0.0 or (value == 0.0 and field.name != "E"):
                raise ValueError(
                    f"{field.name} = {value!r} is no coefficient of a {type(self).__name__}: "
                    "finite and above 0 (E may be 0)"
                )
            object.__setattr__(self, field.name, float(value))

    def to_dict(self) -> dict[str, Any]:
        """Return the coefficients as a plain dict, as :mod:`~distill_lib.scaling.formulas` takes them.

        Returns
        -------
        dict
            Coefficient by name, and ``name``; ``supervised`` is such a dict itself. It survives JSON.
        """
        values = dict(vars(self))
        if "supervised" in values:
            values["supervised"] = values["supervised"].to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the law that :meth:`to_dict` described.

        Parameters
        ----------
        values : mapping
            Coefficient by name.

        Returns
        -------
        SupervisedLaw or DistillationLaw
            The law.

        Raises
        ------
        ValueError
            For missing, unknown or invalid coefficients.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(fields))
        missing = [n for n, f in fields.items() if n not in values and f.default is dataclasses.MISSING]
        if unknown or missing:
            raise ValueError(
                f"a {cls.__name__} takes {', '.join(fields)}; "
                f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
            )
        arguments = dict(values)
        if "supervised" in arguments:
            arguments["supervised"] = SupervisedLaw.from_dict(arguments["supervised"])
        return cls(**arguments)


@dataclass(frozen=True)
class SupervisedLaw(_Coefficients):
    """L(N, D) = E + (A / N^alpha + B / D^beta)^gamma (Eq 1).

    Parameters
    ----------
    E : float
        Irreducible loss, nats per token.
    A, B : float
        Weights of the terms in N (parameters) and D (tokens).
    alpha, beta : float
        Exponents of N and D.
    gamma : float
        Outer exponent; 1 gives the form of Hoffmann et al. 2022.
    name : str
        Where the coefficients come from, for tables and captions; it does not enter comparisons.

    Raises
    ------
    ValueError
        For coefficients that are not positive and finite.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    gamma: float = 1.0
    name: str = dataclasses.field(default="", compare=False)

    def loss(self, N: ArrayLike, D: ArrayLike) -> _checks.Real:
        """Cross-entropy of a model trained on data (Eq 1).

        Parameters
        ----------
        N : array_like
            Non-embedding parameters.
        D : array_like
            Tokens.

        Returns
        -------
        float or numpy.ndarray
            Nats per token, shape of N broadcast against D.

        Raises
        ------
        ValueError
            Naming the first offending value.
        """
        N, D = _checks.positive("N", N), _checks.positive("D", D)
        _checks.broadcast(N=N, D=D)
        return formulas.supervised_loss(N, D, self.to_dict())

    def floor(self, N: ArrayLike) -> _checks.Real:
        """Loss that a model of size N approaches with unlimited tokens, E + (A / N^alpha)^gamma (Eq 35).

        Parameters
        ----------
        N : array_like
            Non-embedding parameters.

        Returns
        -------
        float or numpy.ndarray
            Nats per token.
        """
        return formulas.supervised_loss(_checks.positive("N", N), np.inf, self.to_dict())

    @property
    def exponents(self) -> tuple[float, float]:
        """Exponents (a, b) of the compute-optimal N ~ C^a and D ~ C^b under C = 6ND (Table 6)."""
        total = self.alpha + self.beta
        return self.beta / total, self.alpha / total

    def tokens_for_loss(self, N: ArrayLike, L: ArrayLike) -> _checks.Real:
        """Tokens after which a model of size N reaches a loss; infinite at or below its floor.

        Parameters
        ----------
        N : array_like
            Non-embedding parameters.
        L : array_like
            Wanted cross-entropy, nats per token.

        Returns
        -------
        float or numpy.ndarray
            Tokens; not rounded, below one for losses that no training is needed for.
        """
        N, L = _checks.positive("N", N), _checks.positive("L", L)
        _checks.broadcast(N=N, L=L)
        tokens = formulas.supervised_tokens(N, np.asarray(L), self.to_dict(), np)
        return float(tokens) if tokens.ndim == 0 else tokens

    def compute_optimal(
        self, C: ArrayLike, context: int = formulas.CONTEXT, vocabulary: int = formulas.VOCABULARY
    ) -> tuple[_checks.Real, _checks.Real]:
        """Size and tokens of least loss for a training budget C = 3 F(N) D.

        Parameters
        ----------
        C : array_like
            FLOPs.
        context : int
            Tokens of context in F(N).
        vocabulary : int
            Vocabulary in F(N).

        Returns
        -------
        tuple of float or numpy.ndarray
            N and D, each with the shape of ``C``; not rounded.

        Raises
        ------
        ValueError
            For budgets that are not positive, or too small for one parameter and one token.
        """
        log_C = np.log(np.asarray(_checks.positive("C", C)))
        N, D = compute_optimal(self.to_dict(), log_C, context, vocabulary)
        if np.any(D < 1.0):
            raise ValueError("C is too small to train one parameter on one token; give FLOPs, such as 1e19")
        return _plain(N), _plain(D)


@dataclass(frozen=True)
class DistillationLaw(_Coefficients):
    """L_S(N_S, D_S, L_T), the loss of a student of a teacher with loss L_T (Eq 8 = Eq 46).

    Parameters
    ----------
    A, B : float
        Weights A' and B' of the terms in N_S (parameters) and D_S (tokens).
    alpha, beta, gamma : float
        Their exponents alpha', beta' and the outer gamma'.
    c0 : float
        Power of L_T in front of the student term.
    c1, f1, d1 : float
        Steepness, width and place of the break: it stands at L_T = d1 L(N_S, D_S).
    supervised : SupervisedLaw
        The law of supervised training, which enters through L(N_S, D_S).
    name : str
        Where the coefficients come from; it does not enter comparisons.

    Raises
    ------
    ValueError
        For coefficients that are not positive and finite.
    """

    A: float
    B: float
    alpha: float
    beta: float
    gamma: float
    c0: float
    c1: float
    f1: float
    d1: float
    supervised: SupervisedLaw
    name: str = dataclasses.field(default="", compare=False)

    def loss(self, N_S: ArrayLike, D_S: ArrayLike, L_T: ArrayLike) -> _checks.Real:
        """Cross-entropy of a distilled student (Eq 8, evaluated as Eq 49).

        Parameters
        ----------
        N_S : array_like
            Non-embedding parameters of the student.
        D_S : array_like
            Distillation tokens.
        L_T : array_like
            Cross-entropy of the teacher, nats per token.

        Returns
        -------
        float or numpy.ndarray
            Nats per token, shape of the arguments broadcast together. The form never goes below L_T.

        Raises
        ------
        ValueError
            Naming the first offending value.
        """
        N_S, D_S = _checks.positive("N_S", N_S), _checks.positive("D_S", D_S)
        L_T = _checks.positive("L_T", L_T)
        _checks.broadcast(N_S=N_S, D_S=D_S, L_T=L_T)
        return _plain(formulas.distillation_loss(N_S, D_S, L_T, self.to_dict(), np))

    def floor(self, N_S: ArrayLike, L_T: ArrayLike) -> _checks.Real:
        """Loss that a student approaches with unlimited tokens of one teacher (Eq 37).

        Parameters
        ----------
        N_S : array_like
            Non-embedding parameters of the student.
        L_T : array_like
            Cross-entropy of the teacher.

        Returns
        -------
        float or numpy.ndarray
            Nats per token.
        """
        N_S, L_T = _checks.positive("N_S", N_S), _checks.positive("L_T", L_T)
        _checks.broadcast(N_S=N_S, L_T=L_T)
        return _plain(formulas.distillation_loss(N_S, np.inf, L_T, self.to_dict(), np))

    def break_loss(self, N_S: ArrayLike, D_S: ArrayLike) -> _checks.Real:
        """Teacher loss at which the broken power law bends, d1 L(N_S, D_S).

        Parameters
        ----------
        N_S : array_like
            Non-embedding parameters of the student.
        D_S : array_like
            Distillation tokens.

        Returns
        -------
        float or numpy.ndarray
            Nats per token.
        """
        return self.d1 * self.supervised.loss(N_S, D_S)

    def best_teacher(self, N_S: ArrayLike, D_S: ArrayLike | None) -> tuple[_checks.Real, _checks.Real]:
        """Teacher loss that suits a student best, and the loss it then reaches: the capacity gap.

        A better teacher than this one hurts. The search runs over all teacher losses between E of the
        supervised law and a uniform guess, and covers both valleys that the broken power law can have.

        Parameters
        ----------
        N_S : array_like
            Non-embedding parameters of the student.
        D_S : array_like or None
            Distillation tokens; None for unlimited ones (the minimum of Eq 37, Fig 40).

        Returns
        -------
        tuple of float or numpy.ndarray
            L_T and L_S, nats per token.
        """
        N_S = _checks.positive("N_S", N_S)
        D_S = np.inf if D_S is None else _checks.positive("D_S", D_S)
        _checks.broadcast(N_S=N_S, D_S=D_S)
        L_T, L_S = best_teacher(self.to_dict(), N_S, D_S)
        return _plain(L_T), _plain(L_S)

    def tokens_for_loss(self, N_S: ArrayLike, L_T: ArrayLike, L_S: ArrayLike) -> _checks.Real:
        """Distillation tokens after which a student reaches a loss; infinite if it never does.

        Parameters
        ----------
        N_S : array_like
            Non-embedding parameters of the student.
        L_T : array_like
            Cross-entropy of the teacher.
        L_S : array_like
            Wanted cross-entropy of the student.

        Returns
        -------
        float or numpy.ndarray
            Tokens, at least 1 and at most 1e40; infinite beyond.
        """
        N_S, L_T = _checks.positive("N_S", N_S), _checks.positive("L_T", L_T)
        L_S = _checks.positive("L_S", L_S)
        _checks.broadcast(N_S=N_S, L_T=L_T, L_S=L_S)
        return _plain(formulas.tokens_for_loss(N_S, L_T, L_S, self.to_dict(), (1.0, 1e40), np))

    @property
    def steepness(self) -> float:
        """Return k of exp(-k (L_T / L(N_S, D_S))^(1/f1)), the part of c1, f1 and d1 that data can tell."""
        return self.c1 * self.f1 * self.d1 ** (-1.0 / self.f1)


def published_law(reading: Reading = "reconciled") -> DistillationLaw:
    """Both laws with the coefficients of Table 6.

    Parameters
    ----------
    reading : {"reconciled", "printed"}
        How B' is read. ``"printed"`` takes 24181 as it stands. ``"reconciled"`` takes D_S to be counted in
        thousands of tokens there, B' = 24181 * 1000^beta', about 1.97e6 per token: our inference, with
        which the law agrees with the rest of the paper (erratum e01). All other coefficients are the same.

    Returns
    -------
    DistillationLaw
        Its ``supervised`` is the published supervised law.

    Raises
    ------
    ValueError
        For another reading.
    """
    _checks.choice("reading", reading, READINGS)
    base = {symbol: entry.value for symbol, entry in paper.coefficients("supervised").items()}
    student = {
        symbol.rstrip("'"): entry.value for symbol, entry in paper.coefficients("distillation").items()
    }
    if reading == "reconciled":
        student["B"] = formulas.reconciled_B(student["B"], student["beta"])
    return DistillationLaw(
        **{
            symbol: student[symbol] for symbol in ("A", "B", "alpha", "beta", "gamma", "c0", "c1", "f1", "d1")
        },
        supervised=SupervisedLaw(
            **{symbol: base[symbol] for symbol in ("E", "A", "B", "alpha", "beta", "gamma")},
            name="published",
        ),
        name=reading,
    )


def published_intervals(law: paper.Law, reading: Reading = "reconciled") -> pd.DataFrame:
    """Coefficients of Table 6 with their 90 % intervals, as fits give theirs.

    Parameters
    ----------
    law : {"supervised", "distillation"}
        Which law.
    reading : {"reconciled", "printed"}
        How B' is read; its interval is read alike.

    Returns
    -------
    pandas.DataFrame
        Indexed by coefficient, without primes: ``value``, ``low``, ``high``. ``a`` and ``b`` are printed too.
    """
    import pandas as pd

    _checks.choice("reading", reading, READINGS)
    rows = {
        symbol.rstrip("'"): (entry.value, entry.low, entry.high)
        for symbol, entry in paper.coefficients(law).items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])
    if law == "distillation" and reading == "reconciled":
        table.loc["B"] *= formulas.reconciled_B(1.0, rows["beta"][0])
    return table.rename_axis("coefficient")


def compute_optimal(
    law: Mapping[str, Any],
    log_C: np.ndarray,
    context: int = formulas.CONTEXT,
    vocabulary: int = formulas.VOCABULARY,
) -> tuple[np.ndarray, np.ndarray]:
    """Size and tokens of least supervised loss for C = 3 F(N) D, for one law or for many at once.

    Parameters
    ----------
    law : mapping
        Coefficients of a supervised law; arrays broadcast against ``log_C``, as [laws, 1] against [budgets].
    log_C : numpy.ndarray
        ln of the budgets in FLOPs.
    context, vocabulary : int
        What F(N) counts with.

    Returns
    -------
    tuple of numpy.ndarray
        N and D, in the broadcast shape; not rounded.
    """
    A, B, alpha, beta = (law[name] for name in ("A", "B", "alpha", "beta"))
    c1, c2 = formulas.flop_terms(context, vocabulary)
    high = log_C + 0.0 * np.asarray(alpha)
    low = np.zeros_like(high)
    # ln 3 F(N) D grows with ln N where (N, D) moves along the optimal frontier, on which
    # dlnF/dlnN = (alpha A N^-alpha) / (beta B D^-beta): bisection cannot miss.
    for _ in range(60):
        s = 0.5 * (low + high)
        n = np.exp(s / 3.0)
        inner, outer = (n + c1) * n + c2, (n + 2.0 * c1 / 3.0) * n + c2 / 3.0
        y = alpha * A * np.exp(-alpha * s) * inner / (beta * outer)
        log_D = (np.log(B) - np.log(y)) / beta
        over = np.log(6.0 * n * inner) + log_D > log_C
        low, high = np.where(over, low, s), np.where(over, s, high)
    N = np.exp(0.5 * (low + high))
    return N, np.exp(log_C) / (3.0 * formulas.forward_flops(N, context, vocabulary))


def best_teacher(law: Mapping[str, Any], N_S: Any, D_S: Any) -> tuple[np.ndarray, np.ndarray]:
    """Teacher loss that suits a student best and the loss it then reaches, for one law or for many at once.

    Parameters
    ----------
    law : mapping
        Coefficients of a distillation law; arrays broadcast against the students, as [laws, 1].
    N_S, D_S : array_like
        Students' parameters and tokens.

    Returns
    -------
    tuple of numpy.ndarray
        L_T and L_S in the broadcast shape, nats per token.
    """
    L_T, L_S = formulas.best_teacher(law, N_S, D_S, np)
    return np.asarray(L_T), np.asarray(L_S)


def _plain(value: Any) -> _checks.Real:
    return float(value) if np.ndim(value) == 0 else value
