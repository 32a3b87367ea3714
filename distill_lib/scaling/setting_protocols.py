"""Protocols that compare ways to distil: the same students and teachers, at other settings of the loss."""

from collections.abc import Iterator

from distill_lib.scaling.designs import both_students, protocol, students_and_teachers, teacher
from distill_lib.scaling.scales import Scale
from distill_lib.scaling.specifications import RunSpec, TruncationSpec


@protocol("the best share of the distillation loss", "51a", "51b")
def mixing(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Both students under three teachers, with a share of the distillation loss from none to all."""
    for student, source in students_and_teachers(scale, "mixing", seeds):
        for lam in (0.0, 0.3, 0.5, 0.7, 0.9, 1.0):
            yield student.distilled_from(source, lam=lam)


@protocol("the best temperature", "52")
def temperature(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Both students under three teachers, at temperatures below and above one."""
    for student, source in students_and_teachers(scale, "temperature", seeds):
        for tau in (0.5, 1.0, 2.0, 3.0, 10.0):
            yield student.distilled_from(source, tau=tau)


@protocol("forward, reverse or mixed divergence", "Table 7")
def direction(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Both students under three teachers, with the forward, the reverse and the Jensen-Shannon divergence."""
    for student, source in students_and_teachers(scale, "direction", seeds):
        yield student.distilled_from(source)
        yield student.distilled_from(source, direction="reverse")
        yield student.distilled_from(source, direction="jensen_shannon", beta=0.5)


@protocol("what top-k and top-p cost, and what mends them", "54")
def truncation(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Both students, seeing the likeliest tokens of the largest teacher alone: renormalised, with a tail, mixed with data."""
    vocab_size = scale.corpus.vocab_size
    ks = [k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256) if k < vocab_size]
    top_k = [TruncationSpec(keep="top_k", k=k) for k in ks]
    top_p = [TruncationSpec(keep="top_p", p=p) for p in (0.5, 0.7, 0.9, 0.98)]
    tails = [TruncationSpec(keep="top_k", k=k, missing="tail") for k in ks[1::2]]
    source = teacher(scale, scale.widths[-1])
    for seed in range(seeds):
        for student in both_students(scale, "truncation", seed):
            yield student.distilled_from(source)
            for kept in (*top_k, *top_p, *tails):
                yield student.distilled_from(source, truncation=kept)
            for kept in top_k[::2]:
                yield student.distilled_from(source, lam=0.7, truncation=kept)


@protocol(
    "whether confidence is earned, for students of a distribution and of hard labels",
    *(str(number) for number in range(42, 51)),
)
def calibration(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Students of the largest teacher's distribution and of its likeliest token.

    Every width but the largest, at 20 tokens per parameter and at four times the shorter student's longest.
    """
    source = teacher(scale, scale.widths[-1])
    long = scale.D_of(scale.students[0], scale.student_M[1])
    for seed in range(seeds):
        for width in scale.widths[:-1]:
            for D in (scale.D_of(width, 20), long):
                student = scale.run("calibration", width, D, seed=seed)
                yield student.distilled_from(source)
                yield student.distilled_from(source, truncation=TruncationSpec(keep="top_token"))


@protocol("whether to distil first and then switch to the data")
def switching(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Distil first, then train on the data alone: a question that the paper leaves open.

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


@protocol("lambda below one when tokens are plenty")
def mixing_for_long(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Long runs of the smaller student under two teachers: whether data then help beside the teacher."""
    small, large = scale.students
    D = max(D for M in scale.ratios if (D := scale.D_of(small, M)) <= scale.longest)
    for seed in range(seeds):
        student = scale.run("mixing_for_long", small, D, seed=seed)
        yield student
        for width in (large, scale.widths[-1]):
            for lam in (0.5, 0.9, 1.0):
                yield student.distilled_from(teacher(scale, width), lam=lam)
