"""Protocols that the laws are made of: grids of sizes, tokens and teachers, at settings that stay the same."""

from collections.abc import Iterator

from distill_lib.scaling.designs import TEACHER_SEEDS, both_students, protocol, spread, teacher
from distill_lib.scaling.scales import Scale
from distill_lib.scaling.specifications import OracleSpec, RunSpec


@protocol("the supervised law, at tokens per parameter that are fixed", "36a", "5a")
def supervised_fixed_ratio(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Supervised models of each width at each ratio that stays within the longest run."""
    for seed in range(seeds):
        for d_model in scale.widths:
            for M in scale.ratios:
                if scale.D_of(d_model, M) <= scale.longest:
                    yield scale.run("supervised_fixed_ratio", d_model, scale.D_of(d_model, M), seed=seed)


@protocol("the supervised law and its compute-optimal size, at compute that is fixed", "36b", "36c", "5a")
def supervised_isoflops(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Supervised models of each width along the IsoFLOP line of each budget."""
    for seed in range(seeds):
        for C in scale.budgets:
            for d_model in scale.isoflop_widths:
                yield scale.run("supervised_isoflops", d_model, scale.D_for(d_model, C), seed=seed)


@protocol(
    "the best size of a student under one teacher, and students better than their teacher",
    "2", "38a", "39a", "5b",
)  # fmt: skip
def student_isoflops(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Students of each width along each IsoFLOP line but the last, under a small, a middling and a large teacher."""
    for seed in range(seeds):
        for width in spread(scale.widths):
            for C in scale.budgets[:-1]:
                for d_model in scale.isoflop_widths:
                    student = scale.run("student_isoflops", d_model, scale.D_for(d_model, C), seed=seed)
                    yield student.distilled_from(teacher(scale, width))


@protocol("whether a teacher matters through its loss alone", "3a", "3b", "38b", "39b")
def teacher_isoflops(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Both students under teachers of each width along each IsoFLOP line but the first, and without one."""
    for seed in range(seeds):
        for student in both_students(scale, "teacher_isoflops", seed):
            yield student
            for C in scale.budgets[1:]:
                for width in scale.widths:
                    D_T = scale.D_for(width, C)
                    yield student.distilled_from(scale.run("teachers", width, D_T, split="teacher"))


@protocol(
    "how the loss of a student depends on the size of its teacher, against supervised training",
    "4", "37", "5b",
    seeds=8,
)  # fmt: skip
def capacity_gap(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Both students, short and four times as long, under fixed-M teachers of every size, and without one.

    Two teachers of each size, so that a bend is not the luck of one; the long students get half the seeds.
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


@protocol("what a student gains from ever more tokens", "41")
def long_students(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Both students at each ratio, the smaller under the larger as its teacher and the reverse, and without one."""
    small, large = scale.students
    for seed in range(seeds):
        for width, source in ((small, large), (large, small)):
            for M in scale.ratios:
                D = scale.D_of(small, M)
                if D <= scale.longest:
                    student = scale.run("long_students", width, D, seed=seed)
                    yield student
                    yield student.distilled_from(teacher(scale, source))


@protocol("the gap under a perfect teacher")
def oracle_students(scale: Scale, seeds: int) -> Iterator[RunSpec]:
    """Students of every width, short and long, of the truth itself and without it: the gap without a teacher's errors.

    The scale's corpus must be a language of known entropy.
    """
    for seed in range(seeds):
        for M in scale.student_M:
            for width in scale.widths:
                student = scale.run("oracle_students", width, scale.D_of(scale.students[0], M), seed=seed)
                yield student
                yield student.distilled_from(OracleSpec())
