"""Protocols: what is compared with what, as lists of run specifications, priced before anything is trained.

Each protocol of the paper has its counterpart here, and each says which figures it feeds and what it
identifies. Runs that two protocols ask for are trained once; they carry the label of the first.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from distill_lib.scaling.depths import depths
from distill_lib.scaling.learning_rates import learning_rates
from distill_lib.scaling.scales import SCALES, Scale
from distill_lib.scaling.specifications import (
    CorpusSpec,
    LanguageSpec,
    ModelSpec,
    OracleSpec,
    RunSpec,
    TruncationSpec,
)

#: Seeds of a teacher: two of each size, so that size is not mistaken for luck.
TEACHER_SEEDS = 2


@dataclass(frozen=True)
class Protocol:
    """A design of experiments.

    Attributes
    ----------
    name : str
        Its name.
    identifies : str
        What it can tell, in one line.
    figures : tuple of str
        Figures and tables of the paper that it feeds.
    seeds : int
        Paired seeds that it needs.
    build : callable
        From a scale and a number of seeds to the runs.
    """

    name: str
    identifies: str
    figures: tuple[str, ...]
    seeds: int
    build: Callable[[Scale, int], Iterable[RunSpec]]

    def runs(self, scale: Scale, seeds: int | None = None) -> list[RunSpec]:
        """List the runs at a scale, teachers before their students, none twice.

        Parameters
        ----------
        scale : Scale
            Sizes, lengths and text.
        seeds : int or None
            Paired seeds; by default as many as the protocol needs.

        Returns
        -------
        list of RunSpec
            The runs; a teacher of several students is there once.

        Raises
        ------
        ValueError
            If `seeds` is less than 1.
        """
        seeds = self.seeds if seeds is None else seeds
        if seeds < 1:
            raise ValueError(f"seeds={seeds}: at least one is needed")
        specs = list(self.build(scale, seeds))
        teachers = [spec.teacher for spec in specs if isinstance(spec.teacher, RunSpec)]
        return list({spec.spec_hash: spec for spec in [*teachers, *specs]}.values())


def teacher(scale: Scale, d_model: int, seed: int = 0) -> RunSpec:
    """Specify a fixed-M teacher, trained on the half that no student reads.

    Parameters
    ----------
    scale : Scale
        Gives its tokens per parameter.
    d_model : int
        Its width.
    seed : int
        Its seed.

    Returns
    -------
    RunSpec
        A supervised run.
    """
    D = scale.D_of(d_model, scale.teacher_M)
    return scale.run("teachers", d_model, D, split="teacher", seed=seed)


def supervised_fixed_ratio(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Supervised models at fixed tokens per parameter (Fig 36a; the supervised law).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Each width at each ratio that stays within the longest run.
    """
    for seed in range(seeds):
        for d_model in scale.widths:
            for M in scale.ratios:
                if scale.D_of(d_model, M) <= scale.longest:
                    yield scale.run("supervised_fixed_ratio", d_model, scale.D_of(d_model, M), seed=seed)


def supervised_isoflops(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Supervised models along IsoFLOP lines (Figs 36b and 36c).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Each width at each budget.
    """
    for seed in range(seeds):
        for C in scale.budgets:
            for d_model in scale.isoflop_widths:
                yield scale.run("supervised_isoflops", d_model, scale.D_for(d_model, C), seed=seed)


def student_isoflops(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Students along IsoFLOP lines under a small, a middling and a large fixed-M teacher (Figs 2, 38a, 39a).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each student; their teachers have one.

    Yields
    ------
    RunSpec
        Each width at each budget but the largest, for each teacher.
    """
    for seed in range(seeds):
        for width in _spread(scale.widths):
            for C in scale.budgets[:-1]:
                for d_model in scale.isoflop_widths:
                    student = scale.run("student_isoflops", d_model, scale.D_for(d_model, C), seed=seed)
                    yield student.distilled_from(teacher(scale, width))


def teacher_isoflops(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Two students of fixed size and tokens under teachers along IsoFLOP lines (Figs 3a, 3b, 38b, 39b).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each student; their teachers have one.

    Yields
    ------
    RunSpec
        Both students for each teacher, and both without one.
    """
    for seed in range(seeds):
        for student in _students(scale, "teacher_isoflops", seed):
            yield student
            for C in scale.budgets[1:]:
                for width in scale.widths:
                    D_T = scale.D_for(width, C)
                    yield student.distilled_from(scale.run("teachers", width, D_T, split="teacher"))


def capacity_gap(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Two students, short and four times as long, under fixed-M teachers of every size (Figs 4, 37).

    Two teachers of each size, so that a bend is not the luck of one; the long students get half the seeds.

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each short student.

    Yields
    ------
    RunSpec
        Each student for each teacher, and without one.
    """
    for seed in range(seeds):
        for M in scale.student_M[: 1 if seed >= -(-seeds // 2) else 2]:
            for width in scale.students:
                D = scale.D_of(scale.students[0], M)
                student = scale.run("capacity_gap", width, D, seed=seed)
                yield student
                for teacher_width in scale.widths:
                    for luck in range(TEACHER_SEEDS):
                        yield student.distilled_from(teacher(scale, teacher_width, luck))


def mixing(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Share of the distillation loss from none to all, for three teachers (Figs 51a, 51b).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Both students for each teacher and lambda.
    """
    for student, width in _pairs(scale, "mixing", seeds):
        for lam in (0.0, 0.3, 0.5, 0.7, 0.9, 1.0):
            yield student.distilled_from(teacher(scale, width), lam=lam)


def temperature(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Temperatures below and above one, for three teachers (Fig 52).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Both students for each teacher and tau.
    """
    for student, width in _pairs(scale, "temperature", seeds):
        for tau in (0.5, 1.0, 2.0, 3.0, 10.0):
            yield student.distilled_from(teacher(scale, width), tau=tau)


def direction(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Forward, reverse and Jensen-Shannon divergence, for three teachers (Table 7).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Both students for each teacher and direction.
    """
    for student, width in _pairs(scale, "direction", seeds):
        yield student.distilled_from(teacher(scale, width))
        yield student.distilled_from(teacher(scale, width), direction="reverse")
        yield student.distilled_from(teacher(scale, width), direction="jensen_shannon", beta=0.5)


def truncation(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Students that see the likeliest tokens of the largest teacher alone (Fig 54), with what mends it.

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Both students for each truncation.
    """
    vocab_size = scale.corpus.vocab_size
    ks = [k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256) if k < vocab_size]
    top_k = [TruncationSpec(keep="top_k", k=k) for k in ks]
    top_p = [TruncationSpec(keep="top_p", p=p) for p in (0.5, 0.7, 0.9, 0.98)]
    tails = [TruncationSpec(keep="top_k", k=k, missing="tail") for k in ks[1::2]]
    source = teacher(scale, scale.widths[-1])
    for seed in range(seeds):
        for student in _students(scale, "truncation", seed):
            yield student.distilled_from(source)
            for kept in (*top_k, *top_p, *tails):
                yield student.distilled_from(source, truncation=kept)
            for kept in top_k[::2]:
                yield student.distilled_from(source, lam=0.7, truncation=kept)


def long_students(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Students under a larger and under a smaller teacher, for ever more tokens (Fig 41).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Each student with and without its teacher.
    """
    small, large = scale.students
    for seed in range(seeds):
        for width, source in ((small, large), (large, small)):
            for M in scale.ratios:
                D = scale.D_of(small, M)
                if D <= scale.longest:
                    student = scale.run("long_students", width, D, seed=seed)
                    yield student
                    yield student.distilled_from(teacher(scale, source))


def calibration(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Students of the largest teacher's distribution and of its likeliest token (Figs 42-50).

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Students of every size but the largest, at 20 tokens per parameter and at four times the shorter
        student's longest; each with both targets.
    """
    source = teacher(scale, scale.widths[-1])
    long = scale.D_of(scale.students[0], scale.student_M[1])
    for seed in range(seeds):
        for width in scale.widths[:-1]:
            for D in (scale.D_of(width, 20), long):
                student = scale.run("calibration", width, D, seed=seed)
                yield student.distilled_from(source)
                yield student.distilled_from(source, truncation=TruncationSpec(keep="top_token"))


def switching(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Distil first, then train on the data alone: a question that the paper leaves open.

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        The larger student with an equal and with the largest teacher, from no to full distillation.
    """
    width = scale.students[1]
    D = scale.D_of(width, scale.ratios[1])
    for seed in range(seeds):
        student = scale.run("switching", width, D, seed=seed)
        yield student
        for source in (width, scale.widths[-1]):
            for share in (0.25, 0.5, 0.75):
                yield student.distilled_from(teacher(scale, source), distilled_share=share)
            yield student.distilled_from(teacher(scale, source))


def mixing_for_long(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Lambda below one when tokens are plenty: whether data then help beside the teacher.

    Parameters
    ----------
    scale : Scale
        The scale.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        The smaller student, as long as the longest, under two teachers.
    """
    small, large = scale.students
    D = max(D for M in scale.ratios if (D := scale.D_of(small, M)) <= scale.longest)
    for seed in range(seeds):
        student = scale.run("mixing_for_long", small, D, seed=seed)
        yield student
        for width in (large, scale.widths[-1]):
            for lam in (0.5, 0.9, 1.0):
                yield student.distilled_from(teacher(scale, width), lam=lam)


def oracle_students(scale: Scale, seeds: int) -> Iterable[RunSpec]:
    """Students of the truth itself, on the language of known entropy: the gap without a teacher's errors.

    Parameters
    ----------
    scale : Scale
        A scale whose corpus is a language of known entropy.
    seeds : int
        Seeds of each run.

    Yields
    ------
    RunSpec
        Every width, short and long, with the oracle and without.
    """
    for seed in range(seeds):
        for M in scale.student_M:
            for width in scale.widths:
                student = scale.run("oracle_students", width, scale.D_of(scale.students[0], M), seed=seed)
                yield student
                yield student.distilled_from(OracleSpec())


def _spread(widths: Sequence[int]) -> tuple[int, int, int]:
    """Smallest, middle and largest."""
    return widths[0], widths[len(widths) // 2], widths[-1]


def _students(scale: Scale, protocol: str, seed: int) -> list[RunSpec]:
    """Both students; the larger one reads twice as much, which is still fewer tokens per parameter."""
    D = scale.D_of(scale.students[0], scale.student_M[0])
    small, large = scale.students
    return [scale.run(protocol, small, D, seed=seed), scale.run(protocol, large, 2 * D, seed=seed)]


def _pairs(scale: Scale, protocol: str, seeds: int) -> Iterable[tuple[RunSpec, int]]:
    for seed in range(seeds):
        for student in _students(scale, protocol, seed):
            for width in _spread(scale.widths):
                yield student, width


#: Every protocol by its name, in the order in which they are run.
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "supervised_fixed_ratio",
            "the supervised law, at tokens per parameter that are fixed",
            ("36a", "5a"),
            3,
            supervised_fixed_ratio,
        ),
        Protocol(
            "supervised_isoflops",
            "the supervised law and its compute-optimal size, at compute that is fixed",
            ("36b", "36c", "5a"),
            3,
            supervised_isoflops,
        ),
        Protocol(
            "capacity_gap",
            "how the loss of a student depends on the size of its teacher, against supervised training",
            ("4", "37", "5b"),
            8,
            capacity_gap,
        ),
        Protocol(
            "teacher_isoflops",
            "whether a teacher matters through its loss alone",
            ("3a", "3b", "38b", "39b"),
            3,
            teacher_isoflops,
        ),
        Protocol(
            "student_isoflops",
            "the best size of a student under one teacher, and students better than their teacher",
            ("2", "38a", "39a", "5b"),
            3,
            student_isoflops,
        ),
        Protocol("long_students", "what a student gains from ever more tokens", ("41",), 3, long_students),
        Protocol("mixing", "the best share of the distillation loss", ("51a", "51b"), 3, mixing),
        Protocol("temperature", "the best temperature", ("52",), 3, temperature),
        Protocol("direction", "forward, reverse or mixed divergence", ("Table 7",), 3, direction),
        Protocol("truncation", "what top-k and top-p cost, and what mends them", ("54",), 3, truncation),
        Protocol(
            "calibration",
            "whether confidence is earned, for students of a distribution and of hard labels",
            tuple(str(number) for number in range(42, 51)),
            3,
            calibration,
        ),
        Protocol("switching", "whether to distil first and then switch to the data", (), 3, switching),
        Protocol("mixing_for_long", "lambda below one when tokens are plenty", (), 3, mixing_for_long),
        Protocol("oracle_students", "the gap under a perfect teacher", (), 3, oracle_students),
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


def smoke(seeds: int = 3) -> list[RunSpec]:
    """Build the smallest protocol that goes through every room: a teacher, pairs of students, a small grid.

    One teacher is shared by all pairs (a teacher for each would cost more than everything else), so the
    spread over seeds is that of the students alone. The supervised member of the first pair is also a cell
    of the grid.

    Parameters
    ----------
    seeds : int
        Pairs of one supervised and one distilled student with the same seed.

    Returns
    -------
    list of RunSpec
        Without repetition; a teacher comes before its students.

    Raises
    ------
    ValueError
        If `seeds` is less than 1.
    """
    if seeds < 1:
        raise ValueError(f"seeds={seeds}: at least one pair is needed")

    def run(d_model: int, D: int, **options: Any) -> RunSpec:
        # Small batches and a long warm-up: with so few steps both lower the loss and its spread (measured).
        return RunSpec(
            protocol="smoke",
            corpus=CorpusSpec(megabytes=1.0),
            model=ModelSpec(d_model=d_model),
            D=D,
            batch_tokens=256,
            warmup=0.2,
            eval_tokens=2**15,
            **options,
        )

    teacher = run(32, 2**18, split="teacher")
    supervised = [run(16, 2**16, seed=seed) for seed in range(seeds)]
    distilled = [spec.distilled_from(teacher) for spec in supervised]
    grid = [run(d_model, D) for d_model in (8, 16, 32) for D in (2**15, 2**16, 2**17)]
    return list(dict.fromkeys([teacher, *supervised, *distilled, *grid]))


def smoke_language(seeds: int = 1) -> list[RunSpec]:
    """Build a small grid on the language of known entropy: learning is gradual there, and E is no fit.

    Parameters
    ----------
    seeds : int
        Supervised runs of each size and length; also pairs of one supervised student and one distilled from
        the oracle, at the smallest length.

    Returns
    -------
    list of RunSpec
        Without repetition.

    Raises
    ------
    ValueError
        If `seeds` is less than 1.
    """
    if seeds < 1:
        raise ValueError(f"seeds={seeds}: at least one run of each is needed")
    corpus = LanguageSpec()
    grid = [
        RunSpec(
            protocol="smoke-language",
            corpus=corpus,
            model=ModelSpec(d_model=d_model, vocab_size=corpus.vocab_size),
            D=D,
            batch_tokens=512,  # more steps than with 1024: the shortest runs lack steps, not tokens (measured)
            warmup=0.2,
            seed=seed,
        )
        for seed in range(seeds)
        for d_model in (8, 16, 32)
        for D in (2**16, 2**17, 2**18, 2**19, 2**20)
    ]
    pairs = [spec.distilled_from(OracleSpec()) for spec in grid if spec.D == 2**17]
    return [*grid, *pairs]


#: Presets that are lists of their own, with the seeds that they have by default.
_LISTS: dict[str, tuple[Callable[[int], list[RunSpec]], int]] = {
    "smoke": (smoke, 3),
    "smoke-language": (smoke_language, 1),
    "learning-rates": (learning_rates, 2),
    "depths": (depths, 3),
}
#: Names that `preset` knows.
PRESETS = tuple(dict.fromkeys([*_LISTS, *SCALES]))
