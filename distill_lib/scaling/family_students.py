"""The students of a family: what they cost with a teacher, and how they divide what there is to spend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_lib.scaling import formulas
from distill_lib.scaling.allocations import Allocation, Curve, allocate


@dataclass(frozen=True)
class Family:
    """The checked question: the students, what they cost, and what there is to spend."""

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
        return [3.0 * self.flops(N) for N in self.sizes]

    @property
    def to_spend(self) -> float:
        """What is left of the budget for training."""
        return self.C - self.inference

    def flops(self, N: float) -> float:
        """Return the FLOPs of a forward pass of a model per token.

        Parameters
        ----------
        N : float
            Its parameters.

        Returns
        -------
        float
            FLOPs.
        """
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

    def reached(self, found: Allocation) -> list[float]:
        """Return the tokens within their bounds: those of a target that is out of reach are infinite.

        Parameters
        ----------
        found : Allocation
            What ``divide`` gave.

        Returns
        -------
        list of float
            Tokens of each student.
        """
        return [min(D, self.D_S[1]) for D in found.D_S]

    def teacher_training(self, F_T: float, D_T: float) -> float:
        """Return what the teacher's training costs this family.

        Parameters
        ----------
        F_T, D_T : float
            Forward FLOPs of the teacher per token, and its tokens.

        Returns
        -------
        float
            FLOPs; 0 where the scenario does not charge it, whatever is known of the teacher.
        """
        return 3.0 * self.deltas[1] * F_T * D_T if self.deltas[1] else 0.0

    def bill(self, F_T: float, D_T: float, tokens: Sequence[float]) -> float:
        """Return the FLOPs of training and predictions.

        Parameters
        ----------
        F_T, D_T : float
            Forward FLOPs of the teacher per token, and its tokens.
        tokens : sequence of float
            Of each student.

        Returns
        -------
        float
            What this scenario charges of them.
        """
        own, together = self.prices(F_T)
        students = sum(p * D for p, D in zip(own, tokens, strict=True))
        return students + together * max(tokens) + self.teacher_training(F_T, D_T)
