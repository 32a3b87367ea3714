"""Depth against width: a protocol that trains models of about the same size in different shapes."""

from distill_lib.scaling import _checks
from distill_lib.scaling.specifications import LanguageSpec, ModelSpec, RunSpec

#: Shapes as (layers, width). Four times the layers at half the width is the same size to a percent: 1 x 48 and
#: 4 x 24, 2 x 32 and 8 x 16. The two-layer models around them say what a difference in size makes.
SHAPES = ((2, 24), (2, 32), (2, 40), (1, 32), (1, 48), (4, 16), (4, 24), (8, 16))


def depths(seeds: int = 3) -> list[RunSpec]:
    """Build the comparison of shapes, to see whether two layers are a good choice for small models.

    Parameters
    ----------
    seeds : int
        Runs of each shape.

    Returns
    -------
    list of RunSpec
        Supervised runs on the language of known entropy, all of the same length.

    Raises
    ------
    ValueError
        If `seeds` is less than 1.
    """
    _checks.number("seeds", seeds, 1, 1e4, "give the number of runs of each shape")
    corpus = LanguageSpec()
    return [
        RunSpec(
            protocol="depths",
            corpus=corpus,
            model=ModelSpec(d_model=d_model, n_layers=n_layers, vocab_size=corpus.vocab_size),
            D=2**18,
            batch_tokens=512,
            warmup=0.2,
            eval_tokens=2**15,
            seed=seed,
        )
        for seed in range(seeds)
        for n_layers, d_model in SHAPES
    ]
