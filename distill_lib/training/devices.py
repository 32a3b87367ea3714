"""Where a model runs, and in which precision."""

import torch


def half_precision(device: torch.device) -> torch.autocast:
    """Let matrix products run in bfloat16 on a GPU, and leave a CPU at float32.

    On a CPU bfloat16 was 1.5 to 4 times slower at these sizes. On a GPU nothing was measured: neither the
    speed, nor that a run there equals one on a CPU.

    Parameters
    ----------
    device : torch.device
        Where the model is.

    Returns
    -------
    torch.autocast
        A context for the forward pass; losses and weights stay in float32.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def resolve_device(device: str) -> torch.device:
    """Turn a wish into a device.

    Parameters
    ----------
    device : str
        "auto", or a name that PyTorch knows.

    Returns
    -------
    torch.device
        For "auto" the GPU where there is one, else the CPU.

    Raises
    ------
    ValueError
        If PyTorch knows no such device, or a GPU is asked for that is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device={device!r}: take 'cpu', 'cuda' or 'auto'") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={device!r}: PyTorch finds no GPU here: take 'cpu' or 'auto'")
    return found
