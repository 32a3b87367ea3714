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


def kept_positions(
    labels: Tensor | None, positions: torch.Size, lam: float, ignore_index: int
) -> Tensor | None:
    """Find the positions that count.

    Parameters
    ----------
    labels : Tensor or None
        Next tokens [...].
    positions : torch.Size
        The shape that they must have.
    lam : float
        Share of the distillation term: below 1, labels are needed.
    ignore_index : int
        Label of the positions to leave out.

    Returns
    -------
    Tensor or None
        Booleans [...]; None where all count.

    Raises
    ------
    ValueError
        For labels that are missing or of another shape.
    """
    if labels is None:
        if lam < 1.0:
            raise ValueError(f"lam={lam} mixes in the next-token loss, which needs labels")
        return None
    if labels.shape != positions:
        raise ValueError(
            f"labels have shape {list(labels.shape)}, the positions {list(positions)}: "
            f"expected labels {list(positions)}"
        )
    kept = labels != ignore_index
    return None if kept.all() else kept


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
