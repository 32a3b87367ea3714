"""Counting: from depth to width, parameters and forward FLOPs, exact and by the two-term formula.

Sizes follow the paper: ``N`` is the number of non-embedding parameters, FLOPs are per token of a forward
pass, causal attention is counted at half cost (Appendix H).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from distill_lib.scaling import _checks, formulas

D_FF_MULTIPLE = 128  # the printed widths of Table 13 are 8/3 d_model rounded up to this


def forward_flops(
    N: ArrayLike, context: int = formulas.CONTEXT, vocabulary: int = formulas.VOCABULARY
) -> _checks.Real:
    """Forward FLOPs per token of a model with N parameters, by the two-term formula.

    2N counts each weight once; the two terms add attention over the context and the output head, which
    are large for small models. A training step costs three times as much.

    Parameters
    ----------
    N : array_like
        Non-embedding parameters; broadcasts.
    context : int
        Tokens of context, n_ctx.
    vocabulary : int
        Size of the vocabulary, n_vocab.

    Returns
    -------
    float or numpy.ndarray
        FLOPs per token, shape of ``N``. Source: Eq 66-69, for the paper's family of models (aspect ratio
        128, gated feed-forward of ratio 8/3).

    Raises
    ------
    ValueError
        For counts out of range, naming the first offending one.

    Examples
    --------
    >>> round(forward_flops(1e9) / 2e9, 3)
    1.227
    """
    return formulas.forward_flops(
        _checks.positive("N", N),
        _checks.number("context", context, 1, 1e9, "give tokens of context, such as 4096"),
        _checks.number("vocabulary", vocabulary, 1, 1e9, "give the number of tokens in the vocabulary"),
    )


def relative_error_of_6ND(
    N: ArrayLike, context: int = formulas.CONTEXT, vocabulary: int = formulas.VOCABULARY
) -> _checks.Real:
    """Relative error of 6 N D as the training compute, against 3 F(N) D of the two-term formula.

    Parameters
    ----------
    N : array_like
        Non-embedding parameters; broadcasts.
    context : int
        Tokens of context.
    vocabulary : int
        Size of the vocabulary.

    Returns
    -------
    float or numpy.ndarray
        Negative: 6ND leaves out attention and output head. It does not depend on D.
    """
    return 2.0 * _checks.positive("N", N) / forward_flops(N, context, vocabulary) - 1.0


@dataclass(frozen=True)
class Architecture:
    """A pre-norm decoder, described well enough to count its parameters and its FLOPs.

    Parameters
    ----------
    n_layers : int
        Blocks of attention and feed-forward.
    d_model : int
        Width of the residual stream.
    n_heads : int
        Query heads; the width of a head is ``d_model // n_heads`` unless ``d_head`` says otherwise.
    d_ff : int
        Hidden width of the feed-forward part.
    n_ffn : {2, 3}
        Matrices of the feed-forward part: 3 when gated, 2 when not.
    vocabulary : int
        Tokens in the vocabulary.
    context : int
        Tokens of context that attention looks back on.
    tied : bool
        Whether the output head shares its weights with the embedding.
    n_kv : int, optional
        Key-value heads; as many as query heads by default.
    d_head : int, optional
        Width of a head.
    qk_norm : bool
        Whether queries and keys are normalised with weights of their own (Table 9 counts them).

    Raises
    ------
    ValueError
        For counts below one, heads that do not divide the width, or ``n_ffn`` other than 2 and 3.
    """

    n_layers: int
    d_model: int
    n_heads: int
    d_ff: int
    n_ffn: Literal[2, 3] = 3
    vocabulary: int = formulas.VOCABULARY
    context: int = formulas.CONTEXT
    tied: bool = True
    n_kv: int | None = None
    d_head: int | None = None
    qk_norm: bool = True

    def __post_init__(self) -> None:
        for name in ("n_layers", "d_model", "n_heads", "d_ff", "vocabulary", "context", "n_kv", "d_head"):
            value = getattr(self, name)
            if value is None and name in ("n_kv", "d_head"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} = {value!r} is out of range; give a whole number, 1 at least")
        if self.n_ffn not in (2, 3):
            raise ValueError(f"n_ffn = {self.n_ffn!r} is out of range; give 3 for a gated block, 2 without")
        if self.d_head is None and self.d_model % self.n_heads:
            raise ValueError(
                f"n_heads = {self.n_heads} does not divide d_model = {self.d_model}; "
                "choose a divisor, or give d_head"
            )
        if self.n_heads % self.key_value_heads:
            raise ValueError(f"n_kv = {self.n_kv} does not divide n_heads = {self.n_heads}")

    @property
    def head_width(self) -> int:
        """Width of one head, d_head."""
        return self.d_head if self.d_head is not None else self.d_model // self.n_heads

    @property
    def key_value_heads(self) -> int:
        """Number of key-value heads."""
        return self.n_kv if self.n_kv is not None else self.n_heads

    @property
    def N(self) -> int:
        """Non-embedding parameters: attention, feed-forward and norms (Table 9)."""
        attention = 2 * (self.n_heads + self.key_value_heads) * self.head_width * self.d_model + self.d_model
        if self.qk_norm:
            attention += 2 * self.head_width
        feed_forward = self.n_ffn * self.d_model * self.d_ff + self.d_model
        return self.n_layers * (attention + feed_forward) + self.d_model

    @property
    def N_total(self) -> int:
        """All parameters: N, the embedding, and the output head if it is not tied to it."""
        return self.N + (1 if self.tied else 2) * self.vocabulary * self.d_model

    @property
    def flops_forward(self) -> float:
        """Forward FLOPs per token, item by item (Table 11)."""
        width = self.n_heads * self.head_width
        projections = 4 * (self.n_heads + self.key_value_heads) * self.head_width * self.d_model
        attention = 2 * width * self.context + 2.5 * self.n_heads * self.context  # causal; softmax
        feed_forward = 2 * self.n_ffn * self.d_model * self.d_ff
        ends = 2 * self.d_model + 2 * self.vocabulary * self.d_model
        return float(self.n_layers * (projections + attention + feed_forward) + ends)

    @property
    def flops_two_term(self) -> float:
        """Forward FLOPs per token as 2N + 2 n_ctx n_layers d_model + 2 n_vocab d_model (Eq 72)."""
        return float(
            2 * self.N + 2 * self.context * self.n_layers * self.d_model + 2 * self.vocabulary * self.d_model
        )

    @property
    def aspect_ratio(self) -> float:
        """Width over depth, rho = d_model / n_layers."""
        return self.d_model / self.n_layers


def ladder(
    n_layers: int,
    *,
    aspect_ratio: int = formulas.ASPECT_RATIO,
    n_heads: int | None = None,
    vocabulary: int = formulas.VOCABULARY,
    context: int = formulas.CONTEXT,
) -> Architecture:
    """Architecture of the paper's family at one depth: one number fixes all the others.

    Parameters
    ----------
    n_layers : int
        Depth; the paper's 33 sizes are 8 to 40.
    aspect_ratio : int
        d_model / n_layers.
    n_heads : int, optional
        Heads; 16 by default. The paper states neither heads nor their width; 16 at every size gives the
        forward FLOPs of Table 13 within 0.05 %, heads 128 wide miss it by up to 0.2 %.
    vocabulary : int
        Tokens in the vocabulary.
    context : int
        Tokens of context.

    Returns
    -------
    Architecture
        With ``d_ff`` = 8/3 d_model rounded up to a multiple of 128, gated (Appendix I).

    Raises
    ------
    ValueError
        For a depth or a ratio below one.
    """
    for name, value in (("n_layers", n_layers), ("aspect_ratio", aspect_ratio)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} = {value!r} is out of range; give a whole number, 1 at least")
    d_model = n_layers * aspect_ratio
    d_ff = -(-8 * d_model // (3 * D_FF_MULTIPLE)) * D_FF_MULTIPLE
    return Architecture(
        n_layers=n_layers,
        d_model=d_model,
        n_heads=n_heads if n_heads is not None else 16,
        d_ff=d_ff,
        vocabulary=vocabulary,
        context=context,
    )


def shape_for(N: ArrayLike, aspect_ratio: float = formulas.ASPECT_RATIO) -> tuple[_checks.Real, _checks.Real]:
    """Depth and width that give N parameters at a fixed aspect ratio; not rounded.

    Parameters
    ----------
    N : array_like
        Non-embedding parameters; broadcasts.
    aspect_ratio : float
        rho = d_model / n_layers.

    Returns
    -------
    tuple of float or numpy.ndarray
        n_layers = (N / (rho^2 omega))^(1/3) and d_model = (N rho / omega)^(1/3) (Appendix H).
    """
    N = _checks.positive("N", N)
    rho = _checks.number("aspect_ratio", aspect_ratio, 1.0, 1e6, "it is d_model / n_layers, 128 in the paper")
    n_layers = (N / (rho**2 * formulas.WIDTH_FACTOR)) ** (1.0 / 3.0)
    return n_layers, rho * n_layers
