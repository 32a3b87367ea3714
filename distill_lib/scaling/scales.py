"""Scales: how large the protocols are run, from a few minutes on a laptop to half an hour on a GPU.

A protocol says what is compared with what; a scale says with which models, on which text and for how long.
The paper's own scale is in ``paper_protocols``: priced, never run here.
"""

from dataclasses import dataclass
from typing import Any

from distill_lib.scaling.specifications import CorpusSpec, LanguageSpec, ModelSpec, RunSpec


@dataclass(frozen=True)
class Scale:
    """Sizes, lengths and text of all runs of a preset.

    Attributes
    ----------
    name : str
        Name of the preset.
    corpus : CorpusSpec or LanguageSpec
        What is read.
    widths : tuple of int
        Widths d_model of the rungs, ascending: students, teachers and supervised models alike.
    isoflop_widths : tuple of int
        Widths along an IsoFLOP line: the rungs and some between.
    students : tuple of int
        The two rungs that are distilled from every teacher, the smaller first.
    student_M : tuple of float
        Tokens per parameter of the smaller student at its shortest and at four times that; the larger
        student reads the same tokens.
    ratios : tuple of float
        Tokens per parameter M of the fixed-M grid, ascending.
    teacher_M : float
        Tokens per parameter of the fixed-M teachers.
    budgets : tuple of float
        Compute of the IsoFLOP lines, FLOPs, ascending. Teachers leave out the first, students under a
        teacher the last.
    longest : int
        Tokens that no supervised student reads more than; ratios that would are left out.
    batch_tokens : int
        Tokens in one step.
    eval_tokens : int
        Held-out tokens that the loss is measured on.
    head_dim, seq_len : int
        Width of an attention head and context.
    """

    name: str
    corpus: CorpusSpec | LanguageSpec
    widths: tuple[int, ...]
    isoflop_widths: tuple[int, ...]
    students: tuple[int, int]
    student_M: tuple[float, float]
    ratios: tuple[float, ...]
    teacher_M: float
    budgets: tuple[float, ...]
    longest: int
    batch_tokens: int = 512
    eval_tokens: int = 65_536
    head_dim: int = 8
    seq_len: int = 64

    def model(self, d_model: int) -> ModelSpec:
        """Specify the model of one rung.

        Parameters
        ----------
        d_model : int
            Its width.

        Returns
        -------
        ModelSpec
            Two layers deep, with this scale's heads, context and vocabulary.
        """
        return ModelSpec(
            d_model=d_model,
            head_dim=self.head_dim,
            seq_len=self.seq_len,
            vocab_size=self.corpus.vocab_size,
        )

    def tokens(self, D: float) -> int:
        """Round a number of tokens to whole steps, one at least.

        Parameters
        ----------
        D : float
            Tokens.

        Returns
        -------
        int
            Multiple of `batch_tokens`.
        """
        return max(1, round(D / self.batch_tokens)) * self.batch_tokens

    def run(self, protocol: str, d_model: int, D: float, **options: Any) -> RunSpec:
        """Specify a run of this scale.

        Parameters
        ----------
        protocol : str
            Label of the grid that asks for it.
        d_model : int
            Width of the model.
        D : float
            Tokens, to be rounded to whole steps.
        **options : object
            Further options of the run.

        Returns
        -------
        RunSpec
            Supervised, on the students' half unless told otherwise.
        """
        return RunSpec(
            protocol=protocol,
            corpus=self.corpus,
            model=self.model(d_model),
            D=self.tokens(D),
            batch_tokens=self.batch_tokens,
            eval_tokens=self.eval_tokens,
            **options,
        )

    def D_of(self, d_model: int, M: float) -> float:
        """Tokens of a model at M tokens per non-embedding parameter.

        Parameters
        ----------
        d_model : int
            Its width.
        M : float
            Tokens per parameter.

        Returns
        -------
        float
            Tokens, not rounded.
        """
        return M * self.model(d_model).N

    def D_for(self, d_model: int, C: float) -> float:
        """Tokens that a budget pays for, 3 F(N) each.

        Parameters
        ----------
        d_model : int
            Width of the model.
        C : float
            Compute of its training, FLOPs.

        Returns
        -------
        float
            Tokens, not rounded.
        """
        return C / (3 * self.model(d_model).architecture.flops_forward)


SMOKE = Scale(
    name="smoke",
    corpus=CorpusSpec(megabytes=1.0),
    widths=(8, 16, 24, 32),
    isoflop_widths=(8, 16, 24, 32),
    students=(8, 16),
    student_M=(20, 80),
    ratios=(20, 40),
    teacher_M=10,
    budgets=(2e9, 4e9, 8e9),
    longest=262_144,
    batch_tokens=256,
    eval_tokens=16_384,
)

MINI = Scale(
    name="mini",
    corpus=CorpusSpec(megabytes=10.0),
    widths=(16, 24, 32, 48, 64),
    isoflop_widths=(16, 24, 32, 40, 48, 64),
    students=(16, 32),
    student_M=(20, 80),
    ratios=(20, 40, 80, 160, 320),
    teacher_M=40,
    budgets=(5e10, 1e11, 2e11, 4e11),
    longest=2_300_000,
)

MINI_LANGUAGE = Scale(
    name="mini-language",
    corpus=LanguageSpec(),
    widths=(16, 24, 32, 48, 64),
    isoflop_widths=(16, 24, 32, 40, 48, 64),
    students=(16, 32),
    student_M=(10, 40),
    ratios=(10, 20, 40, 80, 160),
    teacher_M=10,
    budgets=(2.5e10, 5e10, 1e11),
    longest=1_100_000,
)

FULL = Scale(
    name="full",
    corpus=CorpusSpec(megabytes=45.0),
    widths=(64, 96, 128, 192, 256),
    isoflop_widths=(64, 96, 128, 160, 192, 256),
    students=(64, 128),
    student_M=(20, 80),
    ratios=(5, 10, 20, 40, 80, 160),
    teacher_M=10,
    budgets=(2e12, 4e12, 8e12, 1.6e13),
    longest=20_000_000,
    batch_tokens=2048,
    eval_tokens=262_144,
    head_dim=32,
)

FULL_LANGUAGE = Scale(
    name="full-language",
    corpus=LanguageSpec(),
    widths=(32, 48, 64, 96, 128, 192),
    isoflop_widths=(32, 48, 64, 96, 128, 192),
    students=(32, 64),
    student_M=(20, 80),
    ratios=(10, 20, 40, 80, 160),
    teacher_M=40,
    budgets=(2.5e11, 5e11, 1e12),
    longest=40_000_000,
    batch_tokens=2048,
    eval_tokens=262_144,
)

#: Every scale by its name.
SCALES = {scale.name: scale for scale in (SMOKE, MINI, MINI_LANGUAGE, FULL, FULL_LANGUAGE)}
