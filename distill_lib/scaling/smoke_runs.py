"""The smallest lists of runs that go through every room: on text, and on the language of known entropy."""

from typing import Any

from distill_lib.scaling.specifications import CorpusSpec, LanguageSpec, ModelSpec, OracleSpec, RunSpec


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
