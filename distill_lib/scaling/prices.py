"""What runs cost before they are trained: FLOPs, and minutes on two cores."""

from collections.abc import Sequence

import pandas as pd

from distill_lib.scaling import protocols
from distill_lib.scaling.specifications import RunSpec

#: Seconds that one thread of a processor needs for a FLOP, and for a token whatever the model: fitted to the
#: training speed of six sizes on one core of a server of 2023 (65 GFLOP/s in a large matrix product).
SECONDS_PER_FLOP = 26e-12
SECONDS_PER_TOKEN = 10e-6


def predicted_seconds(spec: RunSpec) -> float:
    """Predict the time of a run on one thread, evaluation included.

    Parameters
    ----------
    spec : RunSpec
        The run.

    Returns
    -------
    float
        Seconds; another processor is faster or slower by a factor that is common to all runs.
    """
    # A forward pass is a third of a training step, in the FLOPs as in the work that does not grow with them.
    tokens = spec.D + spec.eval_tokens / 3
    return tokens * (SECONDS_PER_FLOP * spec.flops / spec.D + SECONDS_PER_TOKEN)


def price_list(preset: str, names: Sequence[str] = (), *, workers: int = 2) -> pd.DataFrame:
    """Price each protocol of a preset, and all of them together.

    Parameters
    ----------
    preset : str
        Name of a scale, such as "mini".
    names : sequence of str
        Protocols; by default all that the scale has.
    workers : int
        Workers of one thread each that share the runs.

    Returns
    -------
    DataFrame
        One row per protocol and one for all, which counts shared runs once: ``protocol``, ``identifies``,
        ``figures``, ``seeds``, ``runs``, ``flops``, ``minutes``.

    Raises
    ------
    ValueError
        For a preset or a protocol that is not known.
    """
    scale, wanted = protocols.find(preset, names)
    everything = protocols.preset(preset, [each.name for each in wanted])
    rows = [
        {
            "protocol": each.name,
            "identifies": each.identifies,
            "figures": ", ".join(each.figures),
            "seeds": each.seeds,
        }
        | _price(each.runs(scale), workers)
        for each in wanted
    ]
    rows.append(
        {"protocol": "all", "identifies": "", "figures": "", "seeds": pd.NA} | _price(everything, workers)
    )
    return pd.DataFrame(rows).astype({"seeds": "Int64"})


def _price(specs: Sequence[RunSpec], workers: int) -> dict[str, float]:
    seconds = sum(map(predicted_seconds, specs))
    return {
        "runs": len(specs),
        "flops": sum(spec.flops for spec in specs),
        "minutes": seconds / 60 / workers,
    }
