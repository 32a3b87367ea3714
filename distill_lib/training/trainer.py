"""One run: from a specification to a trained model and its measures."""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distill_lib.scaling.specifications import OracleSpec, RunSpec
from distill_lib.training.checkpoints import forget_state, load_state, save_state
from distill_lib.training.corpus import Corpus
from distill_lib.training.devices import half_precision, resolve_device, send
from distill_lib.training.evaluation import Evaluation, evaluate
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.logit_cache import LogitCache, half
from distill_lib.training.model import Decoder
from distill_lib.training.objectives import reading_order, step_loss
from distill_lib.training.sparse_teachers import SparseTeacher

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
    epochs : float or None
        How often the text was read, where the specification allows repetition; else None.
    """

    model: Decoder
    evaluation: Evaluation | None
    seconds: float
    tokens_per_s: float
    device: str
    epochs: float | None = None

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
    kept_logits: LogitCache | None = None,
    state: Path | None = None,
    save_every: float = 30.0,
    keep_state: bool = False,
) -> Training:
    """Train and measure one model; the same specification gives the same bits on one machine, with as many threads.

    Parameters
    ----------
    spec : RunSpec
        What to train.
    corpus : Corpus or LanguageCorpus
        The text that the specification names.
    teacher : Module or None
        The trained teacher or the oracle, for a distilled run: tokens [B, T] in, logits [B, T, V] out.
    device : str
        "cpu", "cuda" or one of several such as "cuda:1", or "auto" for a GPU where there is one.
    report : callable or None
        Called with the number of tokens trained on since the last call.
    kept_logits : LogitCache or None
        Where the logits of this teacher are kept for all students; None to ask the teacher at each step. The
        student is the same.
    state : Path or None
        File in which the unfinished run is kept; a run that was killed goes on from there, to the same bits.
        None keeps nothing. It is removed at the end.
    save_every : float
        Time from one such state to the next, s.
    keep_state : bool
        Leave the last state there at the end: for a caller that has yet to bring the result to safety.

    Returns
    -------
    Training
        Model and measures; a run that diverges ends early and says so.

    Raises
    ------
    ValueError
        If a teacher is missing, given to a supervised run, or gives logits that are not numbers, or the device
        is not there.
    CorpusError
        If the corpus holds too few tokens and the specification does not allow repetition.
    """
    if (teacher is None) != (spec.teacher is None):
        raise ValueError(f"{spec.run}: a {spec.objective} run, {'no' if teacher is None else 'a'} teacher")
    place = resolve_device(device)
    order, epochs = reading_order(spec, corpus)
    model = Decoder(spec.model, seed=spec.seed).to(place)
    if teacher is not None:
        teacher = teacher.to(place).requires_grad_(False).eval()
    optimiser = torch.optim.AdamW(
        model.optimiser_groups(spec.lr, spec.weight_decay), betas=(0.9, 0.95), fused=True
    )
    peaks = [group["lr"] for group in optimiser.param_groups]
    first, earlier = 0, 0.0
    if state is not None and (found := load_state(state, spec.spec_hash)) is not None:
        model.load_state_dict(found["model"])
        optimiser.load_state_dict(found["optimiser"])
        first, earlier = found["step"], found["seconds"]
        if report is not None:
            report(first * spec.batch_tokens)

    started = saved = time.perf_counter()
    finite = True
    for step in range(first, spec.steps):
        read = corpus.windows(spec.split, order[step], spec.model.seq_len)
        window = send(torch.from_numpy(read), place)
        tokens, labels = window[:, :-1], window[:, 1:]
        teacher_logits = None
        if teacher is not None and step < spec.distilled_steps:
            teacher_logits = _ask(spec, teacher, kept_logits, order, step, tokens)
        with half_precision(place):
            logits = model(tokens)
        loss = step_loss(spec, logits, labels, teacher_logits)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * rate(step, spec)
        optimiser.step()
        if (step + 1) % _REPORT_EVERY == 0 or step + 1 == spec.steps:
            if not math.isfinite(loss.item()):
                _blame_teacher(spec, teacher_logits)
                finite = False
                break
            if report is not None:
                report((step + 1 - max(first, step // _REPORT_EVERY * _REPORT_EVERY)) * spec.batch_tokens)
            now = time.perf_counter()
            if state is not None and now - saved >= save_every and step + 1 < spec.steps:
                content = {
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "step": step + 1,
                    "seconds": earlier + now - started,
                }
                with contextlib.suppress(OSError):  # on a full disk the run goes on: it need not be lost
                    save_state(state, spec.spec_hash, content)
                saved = time.perf_counter()
    trained = time.perf_counter() - started

    evaluation = evaluate(model, corpus, spec.eval_tokens, teacher) if finite else None
    if evaluation is not None and not math.isfinite(evaluation.L):
        evaluation = None
    if state is not None and not keep_state:
        forget_state(state)
    return Training(
        model=model,
        evaluation=evaluation,
        seconds=earlier + time.perf_counter() - started,
        tokens_per_s=(step + 1 - first) * spec.batch_tokens / trained,
        device=place.type if place.type == "cpu" else f"{place.type} ({torch.cuda.get_device_name(place)})",
        epochs=epochs,
    )


def _ask(
    spec: RunSpec,
    teacher: nn.Module,
    kept: LogitCache | None,
    order: NDArray[np.int64],
    step: int,
    tokens: Tensor,
) -> Tensor | SparseTeacher:
    if kept is not None:
        width = order.shape[1]
        logits = kept.logits(order.reshape(-1), step * width, width)
        if logits is not None:
            return (
                logits.to(tokens.device) if isinstance(logits, SparseTeacher) else send(logits, tokens.device)
            )
    with torch.no_grad(), half_precision(tokens.device):
        logits = teacher(tokens)
    # An oracle states the truth, which is not rounded; a trained teacher speaks as it would from the cache.
    return logits if isinstance(spec.teacher, OracleSpec) else half(logits)


def _blame_teacher(spec: RunSpec, teacher_logits: Tensor | SparseTeacher | None) -> None:
    """Tell a bad teacher from a student that diverged: the second is a result, the first a fault.

    What was cut from a teacher was looked at when it was cut.
    """
    if isinstance(teacher_logits, Tensor) and not bool((teacher_logits.amax(-1)).isfinite().all()):
        assert spec.teacher is not None
        raise ValueError(
            f"{spec.run}: teacher {spec.teacher.run} gives logits that are not numbers: it diverged or is "
            "damaged; train it again with a lower lr"
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
