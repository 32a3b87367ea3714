"""Where a model runs, in which precision, and how numbers get there."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

# Without cuDNN's, which PyTorch 2.13 prefers on an H100: it plans anew for every number of windows, for tens of
# milliseconds, and its plans have failed for small heads in earlier versions. The first of these that fits is taken.
_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@contextlib.contextmanager
def half_precision(device: torch.device, *, cached: bool = True) -> Iterator[None]:
    """Let matrix products run in bfloat16 on a GPU, and leave a CPU at float32.

    On a CPU bfloat16 was 1.5 to 4 times slower at these sizes. On a GPU nothing was measured: neither the
    speed, nor that a run there equals one on a CPU.

    Parameters
    ----------
    device : torch.device
        Where the model is.
    cached : bool
        Keep weights in bfloat16 from one use to the next; a graph must be captured without.

    Yields
    ------
    None
        A context for the forward pass; losses and weights stay in float32.
    """
    if device.type != "cuda":
        yield
        return
    with torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=cached), sdpa_kernel(_ATTENTION):
        yield


def replays_graphs(device: torch.device) -> bool:
    """Tell whether a device can replay what it did before as one graph.

    Parameters
    ----------
    device : torch.device
        The device.

    Returns
    -------
    bool
        Whether it is a GPU.
    """
    return device.type == "cuda"


def send(values: Tensor, device: torch.device) -> Tensor:
    """Bring numbers from the CPU to a device, without waiting until it has done what it was told before.

    Parameters
    ----------
    values : Tensor
        Numbers, as a rule on the CPU.
    device : torch.device
        Where to.

    Returns
    -------
    Tensor
        The same there; itself where it is there already.
    """
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    # From ordinary memory the copy would wait; from pinned memory it stands in line.
    return values.pin_memory().to(device, non_blocking=True)


def resolve_device(device: str) -> torch.device:
    """Turn a wish into a device.

    Parameters
    ----------
    device : str
        "cpu", "cuda" or one of several such as "cuda:1", or "auto".

    Returns
    -------
    torch.device
        For "auto" the GPU where there is one, else the CPU.

    Raises
    ------
    ValueError
        For another kind of device, or a GPU that is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
    except RuntimeError:
        place = None
    if place is None or place.type not in ("cpu", "cuda"):
        raise ValueError(f'device={device!r} must be "cpu", "cuda" (or one of several, "cuda:1"), or "auto"')
    if place.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (place.index or 0) >= found:
            why = "" if torch.version.cuda else f": PyTorch {torch.__version__} was built without CUDA"
            raise ValueError(
                f'device={device!r}: PyTorch sees {found} GPUs here{why}; take "cpu", or "auto" for a GPU where there is one'
            )
    return place
