"""One run: from a specification to a trained model and its measures."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill_lib.scaling.specifications import RunSpec
from distill_lib.training.corpus import Corpus
from distill_lib.training.evaluation import Evaluation, evaluate
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.losses import kd_loss, next_token_loss
from distill_lib.training.model import Decoder

_LONGEST_WARMUP = 200  # steps
_REPORT_EVERY = 16  # steps; also how often the loss is looked at


@dataclass(frozen=True)
class Training:
    """What training gave.

    Attributes
    ----------
    model : Decoder
        The trained model.
    evaluation : Evaluation or None
        Its measures; None if the run diverged.
    seconds : float
        Wall time of training and evaluation, s.
    tokens_per_s : float
        Training tokens per second, evaluation left out.
    device : str
        Kind of device, such as "cpu" or "cuda (NVIDIA H100)".
    """

    model: Decoder
    evaluation: Evaluation | None
    seconds: float
    tokens_per_s: float
    device: str

    @property
    def diverged(self) -> bool:
        """Whether the loss became infinite or not a number."""
        return self.evaluation is None


def train(
    spec: RunSpec,
    corpus: Corpus | LanguageCorpus,
    *,
    teacher: nn.Module | None = None,
    device: str = "cpu",
    report: Callable[[int], None] | None = None,
) -> Training:
    """Train and measure one model; the same specification gives the same bits on one machine.

    Parameters
    ----------
    spec : RunSpec
        What to train.
    corpus : Corpus or LanguageCorpus
        The text that the specification names.
    teacher : Module or None
        The trained teacher or the oracle, for a distilled run: tokens [B, T] in, logits [B, T, V] out.
    device : str
        "cpu", "cuda", or "auto" for a GPU where there is one.
    report : callable or None
        Called with the number of tokens trained on since the last call.

    Returns
    -------
    Training
        Model and measures; a run that diverges ends early and says so.

    Raises
    ------
    ValueError
        If a teacher is missing, or given to a supervised run.
    CorpusError
        If the corpus holds too few tokens.
    """
    if (teacher is None) != (spec.teacher is None):
        raise ValueError(f"{spec.run}: a {spec.objective} run, {'no' if teacher is None else 'a'} teacher")
    place = resolve_device(device)
    seq_len = spec.model.seq_len
    order = corpus.order(spec.split, seq_len, spec.D, spec.seed).reshape(spec.steps, -1)
    model = Decoder(spec.model, seed=spec.seed).to(place)
    if teacher is not None:
        teacher = teacher.to(place).requires_grad_(False).eval()
    optimiser = torch.optim.AdamW(
        model.optimiser_groups(spec.lr, spec.weight_decay), betas=(0.9, 0.95), fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, spec))

    started = time.perf_counter()
    finite = True
    for step, index in enumerate(order):
        window = torch.from_numpy(corpus.windows(spec.split, index, seq_len)).to(place)
        loss = _loss(spec, model, teacher, window)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % _REPORT_EVERY == 0 or step + 1 == spec.steps:
            if not math.isfinite(loss.item()):
                finite = False
                break
            if report is not None:
                report((step % _REPORT_EVERY + 1) * spec.batch_tokens)
    trained = time.perf_counter() - started

    evaluation = evaluate(model, corpus, spec.eval_tokens, teacher) if finite else None
    if evaluation is not None and not math.isfinite(evaluation.L):
        evaluation = None
    return Training(
        model=model,
        evaluation=evaluation,
        seconds=time.perf_counter() - started,
        tokens_per_s=(step + 1) * spec.batch_tokens / trained,
        device=place.type if place.type == "cpu" else f"{place.type} ({torch.cuda.get_device_name(place)})",
    )


def _loss(spec: RunSpec, model: Decoder, teacher: nn.Module | None, window: Tensor) -> Tensor:
    tokens, labels = window[:, :-1], window[:, 1:]
    logits = model(tokens)
    if teacher is None:
        return next_token_loss(logits, labels)
    assert spec.lam is not None
    assert spec.tau is not None
    assert spec.direction is not None
    with torch.no_grad():
        teacher_logits = teacher(tokens)
    # Unchecked: a run that diverges is told by its loss and recorded as such.
    return kd_loss(
        logits, teacher_logits, labels, tau=spec.tau, lam=spec.lam, direction=spec.direction, check=False
    )


def rate(step: int, spec: RunSpec) -> float:
    """Learning rate as a share of its peak: linear warm-up, then cosine or linear decay to zero.

    Parameters
    ----------
    step : int
        Step, from 0.
    spec : RunSpec
        Gives the number of steps, the warm-up and the schedule.

    Returns
    -------
    float
        Share of the peak rate.
    """
    warmup = min(_LONGEST_WARMUP, math.ceil(spec.warmup * spec.steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, spec.steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * done)) if spec.schedule == "cosine" else 1 - done


def resolve_device(device: str) -> torch.device:
    """Turn a wish into a device.

    Parameters
    ----------
    device : str
        "auto", or a name that PyTorch knows.

    Returns
    -------
    torch.device
        For "auto" the GPU where there is one, else the CPU.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
