"""Specifications of runs: each validated, hashed and priced before anything is trained.

A specification says everything that decides a run's result, except the installed versions; two equal
specifications have one hash, and the runs table is resumed by it. Nothing here needs torch.
"""

import hashlib
import json
import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from distill_lib.scaling import formulas
from distill_lib.scaling.architecture import D_FF_MULTIPLE, Architecture

Direction = Literal["forward", "reverse", "jensen_shannon"]

#: Packages whose sources every ``distill-lib[train]`` install holds, so that the corpus does not change
#: with the tools that happen to be installed beside them ("stdlib" is Python's own library).
CORE_PACKAGES = ("matplotlib", "networkx", "numpy", "pandas", "scipy", "stdlib", "sympy", "torch")


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _one_zero(cls, value: Any) -> Any:
        """Write -0.0 as 0.0: both are equal, and equal specifications have one hash."""
        return value + 0.0 if isinstance(value, float) else value


class CorpusSpec(_Spec):
    """Which text a run reads.

    Attributes
    ----------
    name : {"python"}
        Family of the corpus: the Python sources of the environment.
    vocab_size : int
        Size of the byte-level BPE vocabulary, tokens.
    megabytes : float
        Text in each of the two training parts, MB (10^6 bytes); validation holds an eighth of it.
    packages : tuple of str
        Top-level packages to read; "stdlib" is Python's own library.
    """

    name: Literal["python"] = "python"
    vocab_size: Annotated[int, Field(ge=257, le=65_536)] = 512
    megabytes: Annotated[float, Field(gt=0, le=100)] = 3.0
    packages: Annotated[tuple[str, ...], Field(min_length=1)] = CORE_PACKAGES


class LanguageSpec(_Spec):
    """Which language of known entropy a run reads, as ``training.language`` makes it: text without an end.

    Attributes
    ----------
    name : {"language"}
        Family of the corpus.
    vocab_size : int
        Tokens; a power of two.
    order : int
        Tokens that the next one depends on; the table of ``vocab_size**(order + 1)`` numbers has 2^24 at most.
    seed : int
        Seeds the language: another seed is another language, not another text.
    features : int
        Random features of the context.
    embedding : int
        Coordinates of a token that the features see.
    amplitude : float
        Size of what the features add to a logit.
    gain : float
        Spread of what the last token adds to a feature, before the tanh: small is nearly linear, large is
        nearly on or off.
    lag_power : float
        The token l places ago weighs ``l**-lag_power``.
    feature_power : float
        Feature j weighs ``j**-feature_power``.
    zipf : float
        Exponent of the unigram term.
    """

    name: Literal["language"] = "language"
    vocab_size: Annotated[int, Field(ge=2, le=256)] = 64
    order: Annotated[int, Field(ge=1, le=8)] = 3
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    features: Annotated[int, Field(ge=1, le=65_536)] = 512
    embedding: Annotated[int, Field(ge=1, le=4096)] = 16
    amplitude: Annotated[float, Field(ge=0, le=10)] = 2.4
    gain: Annotated[float, Field(ge=0, le=10)] = 1.5
    lag_power: Annotated[float, Field(ge=0, le=10)] = 0.7
    feature_power: Annotated[float, Field(ge=0, le=10)] = 0.3
    zipf: Annotated[float, Field(ge=0, le=5)] = 1.0

    @model_validator(mode="after")
    def _a_table_that_fits(self) -> Self:
        if self.vocab_size & (self.vocab_size - 1):
            raise ValueError(f"vocab_size={self.vocab_size} is not a power of two: take 2, 4, ..., 256")
        if self.vocab_size ** (self.order + 1) > 2**24:
            raise ValueError(
                f"vocab_size={self.vocab_size} and order={self.order} make a table of "
                f"{self.vocab_size ** (self.order + 1):,} numbers, 16,777,216 at most: lower one of them"
            )
        return self


class ModelSpec(_Spec):
    """The mini transformer: how wide, how deep, and what its blocks are made of.

    One dial sets the size, in either of two ways. ``ModelSpec(d_model=d)`` keeps two layers and scales the
    width, as all grids here do; `dial` keeps the aspect ratio, as the paper does. The paper's ratio of 128 has
    no small sizes: one layer has 0.2 million parameters and two have 1.6 million, against 6 thousand at d = 16.

    Attributes
    ----------
    d_model : int
        Width of the residual stream.
    n_layers : int
        Number of blocks.
    head_dim : int
        Width of one attention head; ``n_heads = d_model / head_dim``.
    mlp : {"squared_relu", "gated"}
        Two matrices of 4 d_model, or three of 8/3 d_model (Appendix I): the same count but for the rounding of
        the width, d_model parameters a block at most.
    seq_len : int
        Context, tokens.
    vocab_size : int
        Vocabulary, tokens; the corpus must have the same.
    qk_norm : True or None
        Whether queries and keys are normalised, each with gains of its own that all heads of a block share
        (Table 9); None for no.
    mup : False or None
        False gives the inner matrices the same learning rate at every width; None scales it by 32 / d_model
        (muP, simple).
    d_ff_multiple : int or None
        What the hidden width of the feed-forward part is rounded up to a multiple of, 128 in the paper
        (Table 13); None for rounding to the nearest whole number.

    Notes
    -----
    A later option enters with the default None, which the hash of a run leaves out: older hashes stay.
    """

    d_model: Annotated[int, Field(ge=8)]
    n_layers: Annotated[int, Field(ge=1)] = 2
    head_dim: Annotated[int, Field(ge=2, multiple_of=2)] = 8
    mlp: Literal["squared_relu", "gated"] = "squared_relu"
    seq_len: Annotated[int, Field(ge=2)] = 64
    vocab_size: Annotated[int, Field(ge=2)] = 512
    qk_norm: Literal[True] | None = None
    mup: Literal[False] | None = None
    d_ff_multiple: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _heads_fill_the_width(self) -> Self:
        if self.d_model % self.head_dim:
            raise ValueError(f"d_model={self.d_model} is not a multiple of head_dim={self.head_dim}")
        return self

    @classmethod
    def dial(cls, n_layers: int, aspect_ratio: int = formulas.ASPECT_RATIO, **options: Any) -> Self:
        """Set depth and width together, as the paper does: one number fixes all the others.

        Parameters
        ----------
        n_layers : int
            Number of blocks; the paper's 33 sizes have 8 to 40.
        aspect_ratio : int
            d_model / n_layers; 128 in the paper. With 16, one to four layers have widths 16 to 64.
        **options : object
            Other attributes, which win over the family's: a gated feed-forward part, QK-norm, and 16 heads
            but none narrower than 8. At the paper's ratio the hidden width is a multiple of 128, too, so that
            sizes are those of ``architecture.ladder``.

        Returns
        -------
        ModelSpec
            The model.

        Raises
        ------
        ValueError
            If the numbers are out of range, or heads do not fill the width.
        """
        d_model = n_layers * aspect_ratio
        family: dict[str, Any] = {"mlp": "gated", "qk_norm": True, "head_dim": max(8, d_model // 16)}
        if aspect_ratio == formulas.ASPECT_RATIO:
            family["d_ff_multiple"] = D_FF_MULTIPLE
        return cls(**{"n_layers": n_layers, "d_model": d_model} | family | options)

    @property
    def n_heads(self) -> int:
        """Number of attention heads."""
        return self.d_model // self.head_dim

    @property
    def d_ff(self) -> int:
        """Hidden width of the feed-forward part."""
        width = 8 * self.d_model / 3 if self.mlp == "gated" else 4 * self.d_model
        if self.d_ff_multiple is None:
            return round(width)
        return math.ceil(width / self.d_ff_multiple) * self.d_ff_multiple

    @property
    def architecture(self) -> Architecture:
        """The same model as the scaling wing counts it: head and embedding apart."""
        return Architecture(
            n_layers=self.n_layers,
            d_model=self.d_model,
            n_heads=self.n_heads,
            d_ff=self.d_ff,
            n_ffn=3 if self.mlp == "gated" else 2,
            vocabulary=self.vocab_size,
            context=self.seq_len,
            tied=False,
            qk_norm=self.qk_norm is True,
        )

    @property
    def N(self) -> int:
        """Non-embedding parameters."""
        return self.architecture.N


class OracleSpec(_Spec):
    """The perfect teacher of a language of known entropy: its logits are the true log-probabilities.

    Attributes
    ----------
    name : {"oracle"}
        What the runs table calls it. It has no parameters and has read nothing; its loss is the entropy rate.
    """

    name: Literal["oracle"] = "oracle"

    @property
    def run(self) -> str:
        """Name that the runs table gives in ``teacher_run``."""
        return self.name

    @property
    def spec_hash(self) -> str:
        """What stands for the teacher in the hash of its students; no other teacher has such a one."""
        return self.name


class TruncationSpec(_Spec):
    """What a student sees of its teacher: the likeliest tokens at each position (Eq 55, App G.4).

    Attributes
    ----------
    keep : {"top_k", "top_p", "top_token"}
        The k likeliest tokens, the likeliest that reach a share p together, or the likeliest alone, which is
        a hard label.
    k : int or None
        Tokens that are kept, for "top_k".
    p : float or None
        Probability that the kept tokens reach together, in (0, 1], for "top_p".
    missing : {"renormalise", "tail"}
        What happens to the probability of the others: shared out among the kept (the paper), or kept as one
        more token.
    """

    keep: Literal["top_k", "top_p", "top_token"]
    k: Annotated[int, Field(ge=1)] | None = None
    p: Annotated[float, Field(gt=0, le=1)] | None = None
    missing: Literal["renormalise", "tail"] = "renormalise"

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        given = [name for name in ("k", "p") if getattr(self, name) is not None]
        wanted = {"top_k": ["k"], "top_p": ["p"], "top_token": []}[self.keep]
        if given != wanted:
            raise ValueError(
                f"{self.keep} takes {' '.join(wanted) or 'no number'}, not {' and '.join(given)}"
            )
        return self

    def __str__(self) -> str:
        """Write it as the runs table does, such as ``top_k=8, tail``."""
        number = {"top_k": f"={self.k}", "top_p": f"={self.p}", "top_token": ""}[self.keep]
        return f"{self.keep}{number}, {self.missing}"


class RunSpec(_Spec):
    """One run: what is trained, on which text, for how long, against which teacher, from which seed.

    Attributes
    ----------
    protocol : str
        Label of the grid that asked for the run; not part of the hash, so that grids can share runs.
    corpus : CorpusSpec or LanguageSpec
        The text, or the language of known entropy.
    model : ModelSpec
        The model (of the student, for a distilled run).
    D : int
        Training tokens; a multiple of `batch_tokens`, never repeated.
    batch_tokens : int
        Tokens in one step; a multiple of the context.
    lr : float
        Peak learning rate at width 32; matrices inside scale it by 32 / d_model (muP, simple).
    warmup : float
        Share of the steps over which the rate rises; at most 200 steps.
    schedule : {"cosine", "linear"}
        Decay to zero after the warm-up.
    weight_decay : float
        Decoupled weight decay of the matrices.
    split : {"teacher", "student"}
        Which of the two disjoint halves is read; teachers and students never share a file.
    seed : int
        Seeds initial weights and the order of the windows.
    eval_tokens : int
        Held-out tokens that the loss is measured on; a window at least.
    teacher : RunSpec, OracleSpec or None
        The run that makes the teacher, or the truth itself as one; None for a supervised run.
    lam : float or None
        Share of the distillation loss in [0, 1] (the paper's lambda), distilled runs only.
    tau : float or None
        Distillation temperature, distilled runs only.
    direction : {"forward", "reverse", "jensen_shannon"} or None
        KL(teacher || student), KL(student || teacher) or their mixture, distilled runs only.
    beta : float or None
        Weight of the teacher in the Jensen-Shannon mixture, in (0, 1); for that direction only.
    truncation : TruncationSpec or None
        What the student sees of its teacher; None for all of it.
    distilled_share : float or None
        Share of the steps, from the first, that are distilled; the others are supervised. None for all.
    repeat : True or None
        Permission to read the text more than once; the runs table then says how often it was read.

    Notes
    -----
    A later option enters with the default None, which the hash leaves out: older hashes stay.
    """

    protocol: str = "custom"
    corpus: Annotated[CorpusSpec | LanguageSpec, Field(discriminator="name")] = CorpusSpec()
    model: ModelSpec
    D: Annotated[int, Field(gt=0)]
    batch_tokens: Annotated[int, Field(gt=0)] = 1024
    lr: Annotated[float, Field(gt=0, le=1)] = 1.6e-2
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1
    schedule: Literal["cosine", "linear"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    split: Literal["teacher", "student"] = "student"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    eval_tokens: Annotated[int, Field(gt=0)] = 65_536
    teacher: "RunSpec | OracleSpec | None" = None
    lam: Annotated[float, Field(ge=0, le=1)] | None = None
    tau: Annotated[float, Field(gt=0)] | None = None
    direction: Direction | None = None
    beta: Annotated[float, Field(gt=0, lt=1)] | None = None
    truncation: TruncationSpec | None = None
    distilled_share: Annotated[float, Field(ge=0, le=1)] | None = None
    repeat: Literal[True] | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.model.vocab_size != self.corpus.vocab_size:
            raise ValueError(
                f"the model has {self.model.vocab_size} tokens, its corpus {self.corpus.vocab_size}"
            )
        if self.batch_tokens % self.model.seq_len:
            raise ValueError(
                f"batch_tokens={self.batch_tokens} is not a multiple of seq_len={self.model.seq_len}"
            )
        if self.D % self.batch_tokens:
            raise ValueError(f"D={self.D} is not a multiple of batch_tokens={self.batch_tokens}")
        if self.eval_tokens < self.model.seq_len:
            raise ValueError(
                f"eval_tokens={self.eval_tokens} is less than seq_len={self.model.seq_len}, a window"
            )
        if isinstance(self.corpus, LanguageSpec) and self.corpus.order > self.model.seq_len:
            raise ValueError(
                f"seq_len={self.model.seq_len} shows less than the {self.corpus.order} tokens that matter: raise it"
            )
        options = {"lam": self.lam, "tau": self.tau, "direction": self.direction}
        given = [name for name, value in options.items() if value is not None]
        finer = {"beta": self.beta, "truncation": self.truncation, "distilled_share": self.distilled_share}
        refined = [name for name, value in finer.items() if value is not None]
        if self.teacher is None and given + refined:
            raise ValueError(f"{', '.join(given + refined)} given without a teacher")
        if self.teacher is not None and len(given) < len(options):
            raise ValueError("a distilled run needs lam, tau and direction")
        if (self.beta is None) == (self.direction == "jensen_shannon"):
            raise ValueError("beta belongs to direction='jensen_shannon', and to no other")
        if self.truncation is not None and (self.truncation.k or 0) > self.model.vocab_size:
            raise ValueError(f"k={self.truncation.k} of {self.model.vocab_size} tokens")
        if self.direction == "reverse" and self.truncation and self.truncation.missing == "renormalise":
            raise ValueError("the reverse KL is infinite without a tail: give truncation missing='tail'")
        if isinstance(self.teacher, OracleSpec) and not isinstance(self.corpus, LanguageSpec):
            raise ValueError("an oracle knows a language of known entropy alone: give corpus=LanguageSpec()")
        if isinstance(self.teacher, RunSpec):
            if self.teacher.corpus != self.corpus or self.teacher.model.seq_len != self.model.seq_len:
                raise ValueError("teacher and student differ in corpus or context")
            if self.teacher.split == self.split:
                raise ValueError(f"teacher and student both read the {self.split} half")
        return self

    @property
    def objective(self) -> Literal["supervised", "distilled"]:
        """What the run is trained for."""
        return "supervised" if self.teacher is None else "distilled"

    @property
    def spec_hash(self) -> str:
        """First 12 hex digits of the SHA-256 of the specification as canonical JSON."""
        content = self.model_dump(mode="json", exclude={"protocol", "teacher"}, exclude_none=True)
        if self.teacher is not None:
            content["teacher"] = self.teacher.spec_hash
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def run(self) -> str:
        """Readable name of the run, unique through its hash."""
        return f"{self.objective}-{self.split}-d{self.model.d_model}-D{self.D}-s{self.seed}-{self.spec_hash}"

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return self.D // self.batch_tokens

    @property
    def distilled_steps(self) -> int:
        """Number of steps, from the first, at which the teacher is asked: none with ``lam=0``."""
        if self.teacher is None or self.lam == 0.0:
            return 0
        return round(self.steps * (1.0 if self.distilled_share is None else self.distilled_share))

    @property
    def flops(self) -> float:
        """Price of the training, FLOPs: 3 F(N) D, and F(N_T) for each token of a distilled step (Eq 27); an oracle's are free."""
        teacher = self.teacher.model.architecture.flops_forward if isinstance(self.teacher, RunSpec) else 0.0
        asked = self.distilled_steps * self.batch_tokens
        return 3 * self.model.architecture.flops_forward * self.D + teacher * asked

    @property
    def row(self) -> dict[str, Any]:
        """Columns of the runs table that the specification alone decides."""
        return {
            "run": self.run,
            "protocol": self.protocol,
            "objective": self.objective,
            "split": self.split,
            "n_layers": self.model.n_layers,
            "d_model": self.model.d_model,
            "seq_len": self.model.seq_len,
            "vocab_size": self.model.vocab_size,
            "N": self.model.N,
            "D": self.D,
            "lam": self.lam,
            "tau": self.tau,
            "direction": self.direction,
            "beta": self.beta,
            "truncation": None if self.truncation is None else str(self.truncation),
            "distilled_share": self.distilled_share,
            "lr": self.lr,
            "seed": self.seed,
            "flops": self.flops,
            "spec_hash": self.spec_hash,
        }

    def distilled_from(
        self,
        teacher: "RunSpec | OracleSpec",
        lam: float = 1.0,
        tau: float = 1.0,
        direction: Direction = "forward",
        **options: Any,
    ) -> "RunSpec":
        """Return the same run, distilled from a teacher: the other half of a pair.

        Parameters
        ----------
        teacher : RunSpec or OracleSpec
            The run that makes the teacher, or the truth itself as one.
        lam : float
            Share of the distillation loss, in [0, 1].
        tau : float
            Distillation temperature.
        direction : {"forward", "reverse", "jensen_shannon"}
            Direction of the divergence.
        **options : object
            What else describes the distillation: ``beta``, ``truncation``, ``distilled_share``.

        Returns
        -------
        RunSpec
            Equal in everything else, the seed included.
        """
        content = self.model_dump(exclude={"teacher", "lam", "tau", "direction", *options})
        return RunSpec(**content, teacher=teacher, lam=lam, tau=tau, direction=direction, **options)
