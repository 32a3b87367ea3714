"""What every loss of the wing refuses, and which positions it keeps."""

import torch
from torch import Tensor


def check_shares(lam: float, lam_z: float) -> None:
    """Refuse weights of the terms that are out of range.

    Parameters
    ----------
    lam : float
        Share of the distillation term.
    lam_z : float
        Weight of the z-loss.

    Raises
    ------
    ValueError
        Naming the argument, the value and the valid range.
    """
    if not 0.0 <= lam <= 1.0:
        raise ValueError(f"lam={lam} must lie in [0, 1]: the share of the distillation term")
    if not 0.0 <= lam_z < float("inf"):
        raise ValueError(f"lam_z={lam_z} must be 0 or above, and finite: the weight of the z-loss")


def check_labels(labels: Tensor, positions: torch.Size) -> None:
    """Refuse labels that are no integers, or of another shape.

    Parameters
    ----------
    labels : Tensor
        Next tokens [...].
    positions : torch.Size
        The shape that they must have.

    Raises
    ------
    ValueError
        Naming what was found and what is expected.
    """
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels are {labels.dtype}; give integers: the next token at each position")
    if labels.shape != positions:
        raise ValueError(
            f"labels have shape {list(labels.shape)}, the positions {list(positions)}: "
            f"expected labels {list(positions)}"
        )


def kept_positions(
    labels: Tensor | None, logits: torch.Size, lam: float, ignore_index: int | None
) -> Tensor | None:
    """Find the positions that count.

    Parameters
    ----------
    labels : Tensor or None
        Next tokens [...].
    logits : torch.Size
        Shape [..., V] of the logits that they belong to.
    lam : float
        Share of the distillation term: below 1, labels are needed.
    ignore_index : int or None
        Label of the positions to leave out; None for none, which is then not looked for.

    Returns
    -------
    Tensor or None
        Booleans [...]; None where all count.

    Raises
    ------
    ValueError
        For labels that are missing, no integers, of another shape or outside the vocabulary.
    """
    if labels is None:
        if lam < 1.0:
            raise ValueError(f"lam={lam} mixes in the next-token loss, which needs labels")
        return None
    check_labels(labels, logits[:-1])
    if ignore_index is None:
        return None
    labels = labels.long()
    kept = labels != ignore_index
    outside = kept & ((labels < 0) | (labels >= logits[-1]))
    # Both answers at once: on a GPU, each question would wait for the device.
    all_count, some_outside = torch.stack([kept.all(), outside.any()]).tolist()
    if some_outside:
        place = outside.nonzero()[0].tolist()
        raise ValueError(
            f"labels{place} = {labels[tuple(place)].item()} ({int(outside.sum())} such): must be tokens from 0 to "
            f"{logits[-1] - 1}, or ignore_index={ignore_index} where there is nothing to learn"
        )
    return None if all_count else kept


def check_numbers(name: str, logits: Tensor, kept: Tensor | None = None) -> None:
    """Refuse logits that are NaN or plus infinity, or a row of minus infinity, naming the first place.

    Parameters
    ----------
    name : str
        The argument, for the message.
    logits : Tensor
        Logits or hidden states [..., V].
    kept : Tensor or None
        Positions that count [...]; what stands elsewhere does not matter.

    Raises
    ------
    ValueError
        Naming the argument, the place and the value.
    """
    bad = logits.isnan() | (logits == torch.inf)
    bad[..., 0] |= (logits == -torch.inf).all(-1)
    if kept is not None:
        bad &= kept[..., None]
    if bad.any():
        place = bad.nonzero()[0].tolist()
        raise ValueError(
            f"{name}{place} = {logits[tuple(place)].item()} ({int(bad.any(-1).sum())} such positions): logits "
            "must be numbers, or minus infinity for some excluded tokens; look for a diverged model"
        )


def check_derivative() -> None:
    """Refuse a second derivative of a gradient that was written down and is a constant to autograd.

    Raises
    ------
    RuntimeError
        Inside a backward pass with ``create_graph=True``. Torch's ``once_differentiable`` lets it pass where what
        arrives from above is a constant; in a mixture, the next-token term alone would be differentiated again.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            "create_graph=True asks for a second derivative of a divergence, whose gradient is a constant here: "
            "leave it out, or write the loss with torch.log_softmax for this purpose"
        )
