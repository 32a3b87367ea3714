"""What a protocol is, and the models that protocols set against each other: teachers and pairs of students."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from distill_lib.scaling.scales import Scale
from distill_lib.scaling.specifications import RunSpec

#: Seeds of a teacher: two of each size, so that size is not mistaken for luck.
TEACHER_SEEDS = 2

Build = Callable[[Scale, int], Iterable[RunSpec]]


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
    build: Build

    def __call__(self, scale: Scale, seeds: int) -> Iterable[RunSpec]:
        """Build the runs as they come; `runs` checks the seeds, adds the teachers and leaves out repetitions."""
        return self.build(scale, seeds)

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


def protocol(identifies: str, *figures: str, seeds: int = 3) -> Callable[[Build], Protocol]:
    """Turn a function that lists runs into the protocol of its name.

    Parameters
    ----------
    identifies : str
        What it can tell, in one line.
    *figures : str
        Figures and tables of the paper that it feeds.
    seeds : int
        Paired seeds that it needs.

    Returns
    -------
    callable
        Decorator of a function from a scale and a number of seeds of each student to its runs. Teachers need
        not be among them: they come with their students.
    """
    return lambda build: Protocol(build.__name__, identifies, figures, seeds, build)


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


def spread(widths: Sequence[int]) -> tuple[int, int, int]:
    """Choose three widths that stand for all.

    Parameters
    ----------
    widths : sequence of int
        Widths, ascending.

    Returns
    -------
    tuple of int
        The smallest, the middle and the largest.
    """
    return widths[0], widths[len(widths) // 2], widths[-1]


def both_students(scale: Scale, label: str, seed: int) -> list[RunSpec]:
    """Specify the two students of a scale, without a teacher.

    Parameters
    ----------
    scale : Scale
        The scale.
    label : str
        Protocol that asks for them.
    seed : int
        Their seed.

    Returns
    -------
    list of RunSpec
        The smaller one first; the larger one reads twice as much, which is still fewer tokens per parameter.
    """
    D = scale.D_of(scale.students[0], scale.student_M[0])
    small, large = scale.students
    return [scale.run(label, small, D, seed=seed), scale.run(label, large, 2 * D, seed=seed)]


def students_and_teachers(scale: Scale, label: str, seeds: int) -> Iterator[tuple[RunSpec, RunSpec]]:
    """Pair both students with a small, a middling and a large fixed-M teacher.

    Parameters
    ----------
    scale : Scale
        The scale.
    label : str
        Protocol that asks for them.
    seeds : int
        Seeds of each student; their teachers have one.

    Yields
    ------
    tuple of RunSpec
        A student, not yet distilled, and a teacher.
    """
    for seed in range(seeds):
        for student in both_students(scale, label, seed):
            for width in spread(scale.widths):
                yield student, teacher(scale, width)
