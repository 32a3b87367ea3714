"""Protocols: what is compared with what, as lists of run specifications, priced before anything is trained.

Each protocol of the paper has its counterpart here, and each says which figures it feeds and what it
identifies. Runs that two protocols ask for are trained once; they carry the label of the first.
"""

from collections.abc import Callable, Sequence

from distill_lib.scaling.depths import depths
from distill_lib.scaling.designs import TEACHER_SEEDS, Protocol, teacher
from distill_lib.scaling.law_protocols import (
    capacity_gap,
    long_students,
    oracle_students,
    student_isoflops,
    supervised_fixed_ratio,
    supervised_isoflops,
    teacher_isoflops,
)
from distill_lib.scaling.learning_rates import learning_rates
from distill_lib.scaling.scales import SCALES, Scale
from distill_lib.scaling.setting_protocols import (
    calibration,
    direction,
    mixing,
    mixing_for_long,
    switching,
    temperature,
    truncation,
)
from distill_lib.scaling.smoke_runs import smoke, smoke_language
from distill_lib.scaling.specifications import LanguageSpec, RunSpec

__all__ = [
    "OF_A_LANGUAGE",
    "PRESETS",
    "PROTOCOLS",
    "TEACHER_SEEDS",
    "Protocol",
    "find",
    "of_scale",
    "preset",
    "smoke",
    "smoke_language",
    "teacher",
]

#: Every protocol by its name, in the order in which they are run.
PROTOCOLS = {
    each.name: each
    for each in (
        supervised_fixed_ratio,
        supervised_isoflops,
        capacity_gap,
        teacher_isoflops,
        student_isoflops,
        long_students,
        mixing,
        temperature,
        direction,
        truncation,
        calibration,
        switching,
        mixing_for_long,
        oracle_students,
    )
}
#: Protocols that a language of known entropy is for; text has all but the last.
OF_A_LANGUAGE = (
    "supervised_fixed_ratio",
    "supervised_isoflops",
    "capacity_gap",
    "teacher_isoflops",
    "long_students",
    "oracle_students",
)


def of_scale(scale: Scale) -> tuple[Protocol, ...]:
    """List the protocols that a scale has.

    Parameters
    ----------
    scale : Scale
        The scale.

    Returns
    -------
    tuple of Protocol
        In the order in which they are run.
    """
    if isinstance(scale.corpus, LanguageSpec):
        return tuple(PROTOCOLS[name] for name in OF_A_LANGUAGE)
    return tuple(protocol for name, protocol in PROTOCOLS.items() if name != "oracle_students")


def find(preset: str, names: Sequence[str] = ()) -> tuple[Scale, tuple[Protocol, ...]]:
    """Find the scale of a preset and its protocols.

    Parameters
    ----------
    preset : str
        Name of a scale, such as "mini".
    names : sequence of str
        Names of protocols; by default all that the scale has.

    Returns
    -------
    tuple of Scale and tuple of Protocol
        The scale, and the protocols in the order of the names.

    Raises
    ------
    ValueError
        For a name that is not known.
    """
    if preset not in SCALES:
        raise ValueError(f"no protocols in preset {preset!r}: choose from {', '.join(SCALES)}")
    scale = SCALES[preset]
    there = {protocol.name: protocol for protocol in of_scale(scale)}
    for name in names:
        if name not in there:
            raise ValueError(f"preset {preset!r} has no protocol {name!r}: choose from {', '.join(there)}")
    return scale, tuple(there[name] for name in names or there)


def preset(name: str, protocols: Sequence[str] = (), seeds: int | None = None) -> list[RunSpec]:
    """List the runs of a preset: all its protocols, or some of them.

    Parameters
    ----------
    name : str
        A key of `PRESETS`.
    protocols : sequence of str
        Names of protocols; by default all that the preset has. ``smoke`` and ``smoke-language``, which go
        through every room, ``learning-rates`` and ``depths`` are lists of their own.
    seeds : int or None
        Paired seeds; by default as many as each protocol needs.

    Returns
    -------
    list of RunSpec
        Teachers before their students, none twice.

    Raises
    ------
    ValueError
        For a name that is not known, or fewer seeds than one.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}: choose from {', '.join(sorted(PRESETS))}")
    if not protocols and name in _LISTS:
        build, default = _LISTS[name]
        return build(default if seeds is None else seeds)
    if name not in SCALES:
        raise ValueError(f"preset {name!r} has no protocols to choose from")
    scale, wanted = find(name, protocols)
    specs = [spec for each in wanted for spec in each.runs(scale, seeds)]
    return list({spec.spec_hash: spec for spec in reversed(specs)}.values())[::-1]


#: Presets that are lists of their own, with the seeds that they have by default.
_LISTS: dict[str, tuple[Callable[[int], list[RunSpec]], int]] = {
    "smoke": (smoke, 3),
    "smoke-language": (smoke_language, 1),
    "learning-rates": (learning_rates, 2),
    "depths": (depths, 3),
}
#: Names that `preset` knows.
PRESETS = tuple(dict.fromkeys([*_LISTS, *SCALES]))
