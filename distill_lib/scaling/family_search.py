"""The search for the best teacher of a family; :mod:`families` says what is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_lib.scaling import answers, formulas
from distill_lib.scaling.allocations import Allocation, Curve, allocate, shortfall
from distill_lib.scaling.family_plans import FamilyPlan
from distill_lib.scaling.laws import DistillationLaw
from distill_lib.scaling.wording import count, exact


@dataclass(frozen=True)
class Found:
    """A teacher, and the tokens of each student with it."""

    N_T: float
    D_T: float
    L_T: float
    tokens: Allocation
    place: int | None = None


@dataclass(frozen=True)
class Family:
    """The checked question, and its search."""

    sizes: tuple[float, ...]
    weights: tuple[float, ...]
    law: Mapping[str, Any]
    deltas: tuple[float, float]
    shared: bool
    D_S: tuple[float, float]
    D_T: tuple[float, float]
    inference: float
    context: int
    vocabulary: int
    C: float
    targets: tuple[float, ...] | None

    @property
    def per_token(self) -> list[float]:
        """FLOPs of a training step per token of each student."""
        return [3.0 * self._flops(N) for N in self.sizes]

    @property
    def to_spend(self) -> float:
        """What is left of the budget for training."""
        return self.C - self.inference

    def _flops(self, N: float) -> float:
        return float(formulas.forward_flops(N, self.context, self.vocabulary))

    def predicted(self, tokens: Sequence[float]) -> float:
        """Return how many tokens the teacher predicts for the students'.

        Parameters
        ----------
        tokens : sequence of float
            Of each student.

        Returns
        -------
        float
            Tokens of all passes.
        """
        return max(tokens) if self.shared else sum(tokens)

    # ---------------------------------------------------------------- the students of one teacher

    def curves(self, L_T: float) -> list[Curve]:
        """Return the weighted loss of each student, and its fall for each e-fold of tokens.

        Parameters
        ----------
        L_T : float
            Loss of the teacher, nats per token.

        Returns
        -------
        list of callable
            One for each student.
        """

        def of(N: float, weight: float) -> Curve:
            def curve(D: float) -> tuple[float, float]:
                term, by_tokens, _ = formulas.student_term(N, D, L_T, self.law)
                gain = math.exp(term)
                return weight * (L_T + gain), -weight * gain * by_tokens

            return curve

        return [of(N, weight) for N, weight in zip(self.sizes, self.weights, strict=True)]

    def supervised_curves(self) -> list[Curve]:
        """Return the same for students without a teacher.

        Returns
        -------
        list of callable
            One for each student.
        """
        base = self.law["supervised"]

        def of(N: float, weight: float) -> Curve:
            def curve(D: float) -> tuple[float, float]:
                x, y = base["A"] * N ** -base["alpha"], base["B"] * D ** -base["beta"]
                reducible = (x + y) ** base["gamma"]
                fall = base["gamma"] * reducible * base["beta"] * y / (x + y)
                return weight * (base["E"] + reducible), weight * fall

            return curve

        return [of(N, weight) for N, weight in zip(self.sizes, self.weights, strict=True)]

    def prices(self, F_T: float) -> tuple[list[float], float]:
        """Return FLOPs of a token of each student with its predictions, and of a token of the pass that all share.

        Parameters
        ----------
        F_T : float
            Forward FLOPs of the teacher per token.

        Returns
        -------
        tuple
            A list, and a number.
        """
        logits = self.deltas[0] * F_T
        return [p + (0.0 if self.shared else logits) for p in self.per_token], logits if self.shared else 0.0

    def divide(self, F_T: float, training: float, L_T: float) -> Allocation:
        """Return the best tokens of each student with a teacher.

        Parameters
        ----------
        F_T : float
            Its forward FLOPs per token.
        training : float
            What its training costs this family, FLOPs.
        L_T : float
            Its loss.

        Returns
        -------
        Allocation
            The tokens.
        """
        if self.targets is not None:
            wanted = [
                formulas.tokens_for_loss(N, L_T, L, self.law, self.D_S)
                for N, L in zip(self.sizes, self.targets, strict=True)
            ]
            return Allocation(tuple(wanted), math.nan, max(wanted))
        own, together = self.prices(F_T)
        return allocate(self.curves(L_T), own, self.to_spend - training, self.D_S, together)

    # ---------------------------------------------------------------- the teacher

    def designed(self) -> Found:
        """Return the best teacher of any size and tokens.

        Returns
        -------
        Found
            The teacher and the tokens.

        Raises
        ------
        ValueError
            Where nothing can be trained, or a target is out of reach.
        """
        base, (a, b) = self.law["supervised"], self.deltas
        terms = formulas.flop_terms(self.context, self.vocabulary)
        ranges = formulas.term_ranges(base, formulas.BOUNDS, self.D_T)

        def cheapest(z: float, t: float, tokens: Callable[[float, float], float], steps: int) -> Any:
            return formulas.cheapest_teacher(z, t, tokens, base, self.deltas, terms, ranges, steps)

        def divided(z: float, t: float, steps: int = formulas.NEWTON_STEPS) -> Any:
            """Return the cheapest teacher of loss E + e^z with the tokens of its students."""
            L_T = base["E"] + math.exp(z)

            def tokens(F_T: float, D_T: float) -> float:
                return self.predicted(self._reached(self.divide(F_T, 3.0 * b * F_T * D_T, L_T))) if a else 0.0

            F_T, N_T, D_T, t, slope = cheapest(z, t, tokens, steps)
            return F_T, N_T, D_T, t, slope, self.divide(F_T, 3.0 * b * F_T * D_T, L_T), L_T

        def mean_loss(z: float, t: float) -> Any:
            """Return the row (weighted mean loss, slope, z, t) of the best students of this teacher."""
            _, _, _, t, cost_slope, found, L_T = divided(z, t)
            value, by_loss = 0.0, 0.0
            for N, weight, D in zip(self.sizes, self.weights, found.D_S, strict=True):
                term, _, by_teacher = formulas.student_term(N, D, L_T, self.law)
                gain = math.exp(term)
                value += weight * (L_T + gain)
                by_loss += weight * (1.0 + gain * by_teacher / L_T)
            return value, by_loss * math.exp(z) + found.price * cost_slope, z, t

        def bill(z: float, t: float) -> Any:
            """Return the row (ln C, slope, z, t) of the least compute; where a target is missed, by how much."""
            F_T, _, D_T, t, cost_slope, wanted, L_T = divided(z, t)
            D_S = self._reached(wanted)
            missed, by_missed = -math.inf, 0.0
            own, together = self.prices(F_T)
            total = together * max(D_S) + 3.0 * b * F_T * D_T
            slope, longest = cost_slope, D_S.index(max(D_S))
            for i, (N, D) in enumerate(zip(self.sizes, D_S, strict=True)):
                term, by_tokens, by_teacher = formulas.student_term(N, D, L_T, self.law)
                gain = math.exp(term)
                by_loss = (1.0 + gain * by_teacher / L_T) * math.exp(z)
                assert self.targets is not None
                if wanted.D_S[i] == math.inf and L_T + gain - self.targets[i] > missed:
                    missed, by_missed = L_T + gain - self.targets[i], by_loss
                total += own[i] * D
                price = own[i] + (together if i == longest else 0.0)
                if D > self.D_S[0] * (1.0 + 1e-12):
                    slope -= price * by_loss / (gain * by_tokens) * D
            if missed > -math.inf:
                return formulas.OUT_OF_REACH + missed, by_missed, z, t
            return math.log(total), slope / total, z, t

        def least_bill(z: float, t: float) -> Any:
            least = [self.D_S[0]] * len(self.sizes)
            F_T, _, D_T, t, slope = cheapest(
                z, t, lambda F_T, D_T: self.predicted(least), formulas.NEWTON_STEPS
            )
            return self._bill(F_T, D_T, least), slope, t

        top = math.log(formulas.supervised_loss(formulas.BOUNDS[0], self.D_T[0], base) - base["E"])
        bottom = math.log(formulas.supervised_loss(formulas.BOUNDS[1], self.D_T[1], base) - base["E"])
        spaces = formulas.TEACHER_SCAN
        if self.targets is None:
            bottom, feasible = formulas.strongest_teacher(
                least_bill, self.to_spend, top, bottom, 0.0, formulas.Floats
            )
            if not feasible:
                raise ValueError(
                    f"C = {exact(self.C)} is too small to train anything: the least teacher with {self.D_S[0]:.3g} tokens for "
                    f"each student costs {least_bill(top, 0.0)[0] + self.inference:.4g} FLOPs, so give C of at least that"
                )
            parts = [1.0 - i / spaces for i in range(spaces)]
            if a + b > 0.0:  # the students are left with nothing at the last one: close in on it
                parts += [0.5**i / spaces for i in range(1, formulas.EDGE_SCAN)]
            evaluate = mean_loss
            grid = [bottom + (top - bottom) * part for part in [*parts, 0.0]]
        else:
            # Students stay above their teacher.
            top = min(top, math.log(max(min(self.targets) - base["E"], math.exp(bottom) * 1.001)))
            evaluate = bill
            grid = [top + (bottom - top) * i / spaces for i in range(spaces + 1)]
        value, _, z, t = formulas.lowest_point(evaluate, grid, 0.0)
        if self.targets is not None and value >= formulas.OUT_OF_REACH:
            raise ValueError(self._out_of_reach("one teacher for all"))
        _, N_T, D_T, *_ = divided(z, t, 2 * formulas.NEWTON_STEPS)
        N_T = min(max(N_T, formulas.BOUNDS[0]), formulas.BOUNDS[1])
        D_T = min(max(D_T, self.D_T[0]), self.D_T[1])
        L_T, F_T = formulas.supervised_loss(N_T, D_T, base), self._flops(N_T)
        tokens = self.divide(F_T, 3.0 * b * F_T * D_T, L_T)
        if self.targets is not None and math.isinf(
            max(tokens.D_S)
        ):  # a hair above the last teacher that serves
            tokens = Allocation(tuple(self._reached(tokens)), math.nan, max(self._reached(tokens)))
        return Found(N_T, D_T, L_T, tokens)

    def _reached(self, found: Allocation) -> list[float]:
        """Return the tokens within their bounds: those of a target that is out of reach are infinite."""
        return [min(D, self.D_S[1]) for D in found.D_S]

    def best_of(self, question: Mapping[str, Any]) -> Found:
        """Return the best of the teachers that exist.

        Parameters
        ----------
        question : mapping
            ``teachers`` as rows (N_T, D_T, L_T), with ``scenario``, ``law`` and ``vocabulary``.

        Returns
        -------
        Found
            The teacher, its place and the tokens.

        Raises
        ------
        ValueError
            For what is no teacher, and where none serves.
        """
        best, best_value = None, math.inf
        for place in range(len(question["teachers"])):
            N_T, D_T, L_T = answers.known_teacher(question, self.deltas, place)
            F_T = 0.0 if math.isnan(N_T) else self._flops(N_T)
            training = 3.0 * self.deltas[1] * F_T * D_T if self.deltas[1] else 0.0
            least = self._bill(F_T, D_T, [self.D_S[0]] * len(self.sizes))
            if self.targets is None and least > self.to_spend * (1.0 + 1e-12):
                continue
            tokens = self.divide(F_T, training, L_T)
            if math.isinf(max(tokens.D_S)):
                continue
            value = (
                self._bill(F_T, D_T, tokens.D_S)
                if self.targets is not None
                else sum(curve(D)[0] for curve, D in zip(self.curves(L_T), tokens.D_S, strict=True))
            )
            if value < best_value:
                best, best_value = Found(N_T, D_T, L_T, tokens, place), value
        if best is None:
            raise ValueError(
                self._out_of_reach("each of the given teachers")
                if self.targets is not None
                else f"no given teacher serves: C = {exact(self.C)} cannot pay for one of them and {self.D_S[0]:.3g} tokens for "
                "each student; give a larger budget, or other teachers"
            )
        return best

    def _out_of_reach(self, whom: str) -> str:
        assert self.targets is not None
        wanted = ", ".join(f"{L:g} of {count(N)}" for N, L in zip(self.sizes, self.targets, strict=True))
        floors = ", ".join(f"{formulas.best_teacher(self.law, N, self.D_S[1])[1]:.4f}" for N in self.sizes)
        return (
            f"target_losses ({wanted}) are out of reach with {whom}; with the best teacher of its own and up to "
            f"{self.D_S[1]:.3g} tokens each gets above {floors} nats, and they must agree on one teacher: ask for more"
        )

    def _bill(self, F_T: float, D_T: float, tokens: Sequence[float]) -> float:
        """Return the FLOPs of training and predictions."""
        own, together = self.prices(F_T)
        training = 3.0 * self.deltas[1] * F_T * D_T if self.deltas[1] else 0.0
        return sum(p * D for p, D in zip(own, tokens, strict=True)) + together * max(tokens) + training

    # ---------------------------------------------------------------- the answer

    def plan(
        self,
        found: Found,
        *,
        law: DistillationLaw,
        scenario: str,
        logits: str,
        accuracy: float,
        ranges: Mapping[str, tuple[float, float]],
    ) -> FamilyPlan:
        """Return the plan with its bill, its supervised counterpart and its warnings.

        Parameters
        ----------
        found : Found
            The teacher and the tokens.
        law : DistillationLaw
            The law.
        scenario, logits : str
            As they were asked.
        accuracy : float
            Relative error of the law's losses.
        ranges : mapping
            What the law was fitted on.

        Returns
        -------
        FamilyPlan
            The plan.
        """
        base, per_token, D_S = self.law["supervised"], self.per_token, found.tokens.D_S
        F_T = 0.0 if math.isnan(found.N_T) else self._flops(found.N_T)
        losses = [
            formulas.distillation_loss(N, D, found.L_T, self.law)
            for N, D in zip(self.sizes, D_S, strict=True)
        ]
        training = tuple(p * D for p, D in zip(per_token, D_S, strict=True))
        predictions = self.deltas[0] * F_T * self.predicted(D_S)
        teacher = 3.0 * self.deltas[1] * F_T * found.D_T if self.deltas[1] else 0.0
        C = sum(training) + predictions + teacher + self.inference
        alone = self.supervised_curves()
        equal = allocate(
            alone, per_token, self.to_spend if self.targets is None else C - self.inference, self.D_S
        ).D_S
        at_equal = sum(curve(D)[0] for curve, D in zip(alone, equal, strict=True))
        D_supervised = equal
        if self.targets is not None:
            D_supervised = tuple(
                D if D <= self.D_S[1] else math.inf
                for D in (
                    formulas.supervised_tokens(N, L, base) for N, L in zip(self.sizes, losses, strict=True)
                )
            )
        C_supervised = sum(p * D for p, D in zip(per_token, D_supervised, strict=True)) + self.inference
        missed = math.nan
        if self.targets is None:
            own, together = self.prices(F_T)
            missed = shortfall(found.tokens, self.curves(found.L_T), own, self.D_S, together)
        mean = sum(w * L for w, L in zip(self.weights, losses, strict=True))
        return FamilyPlan(
            N_S=self.sizes,
            weights=self.weights,
            scenario=scenario,
            logits_from=logits,
            C=C,
            budget=self.C,
            L_S=tuple(losses),
            D_S=D_S,
            N_T=found.N_T,
            D_T=found.D_T,
            L_T=found.L_T,
            L_supervised=tuple(
                formulas.supervised_loss(N, D, base) if D < math.inf else math.nan
                for N, D in zip(self.sizes, D_supervised, strict=True)
            ),
            D_supervised=D_supervised,
            C_supervised=C_supervised,
            flops_students=training,
            flops_logits=predictions,
            flops_teacher=teacher,
            flops_inference=self.inference,
            gap=math.inf if math.isinf(C_supervised) else at_equal - mean,
            law=law,
            goal="budget" if self.targets is None else "targets",
            shortfall=missed,
            accuracy=accuracy,
            teacher=found.place,
            warnings=_outside(self.sizes, D_S, found, ranges),
            vocabulary=self.vocabulary,
        )


def _outside(
    sizes: Sequence[float], tokens: Sequence[float], found: Found, ranges: Mapping[str, tuple[float, float]]
) -> tuple[str, ...]:
    """Return a sentence for each quantity outside what the law was fitted on, once for each student and the teacher."""
    teacher = {"N_T": found.N_T, "D_T": found.D_T, "L_T": found.L_T}
    said: list[str] = []
    for N, D in zip(sizes, tokens, strict=True):
        said += answers.outside({"N_S": N, "D_S": D, **teacher}, ranges)
    return tuple(dict.fromkeys(said))
