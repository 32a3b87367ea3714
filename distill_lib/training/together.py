"""Several runs of one shape at once, as rows of one stack: the calls of PyTorch are paid once for all.

A run gives what it gives by itself (`trainer.train`) up to rounding: sums are taken in another order. That is
1e-9 of the loss at first, and grows with the steps, faster at a high rate. The same specification trained so gives the same bits on one machine, in
whatever company, as measured on the CPU.
"""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distill_lib.scaling.specifications import OracleSpec, RunSpec
from distill_lib.training.checkpoints import forget_state, load_state, save_state
from distill_lib.training.corpus import Corpus
from distill_lib.training.devices import half_precision, replays_graphs, resolve_device, send
from distill_lib.training.evaluation import evaluate
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.logit_cache import LogitCache, half
from distill_lib.training.objectives import reading_order, step_loss
from distill_lib.training.stack import Stack
from distill_lib.training.stack_steps import Group, ReplayedSteps, advance
from distill_lib.training.trainer import Training, rate

_LOOK_EVERY = 16  # steps; how often losses are looked at and progress is reported


@dataclass
class _Member:
    """One run of the company, and how far it is."""

    place: int  # among the specifications
    spec: RunSpec
    order: NDArray[np.int64]
    epochs: float | None
    teacher: nn.Module | None
    kept: LogitCache | None
    state: Path | None
    step: int = 0
    first: int = 0  # the step at which this call began
    reported: int = 0  # steps
    earlier: float = 0.0  # s, before this call
    seconds: float = 0.0  # its share of the time in this call

    @property
    def asks(self) -> bool:
        """Whether the teacher is asked at this step."""
        return self.teacher is not None and self.step < self.spec.distilled_steps

    @property
    def settings(self) -> tuple[object, ...]:
        """What decides the loss of this step."""
        spec = self.spec
        return (spec.lam, spec.tau, spec.direction, spec.beta, spec.truncation) if self.asks else ()

    @property
    def ended(self) -> bool:
        """Whether all of its steps are done."""
        return self.step == self.spec.steps


@dataclass(frozen=True)
class _Step:
    """What one step saw, for those who look at it."""

    logits: Tensor  # [models, B, T, V]
    labels: Tensor  # [models, B, T]
    spoken: list[Tensor | None]  # by the teachers, each [B, T, V]


def train_together(
    specs: Sequence[RunSpec],
    corpus: Corpus | LanguageCorpus,
    *,
    teachers: Sequence[nn.Module | None] | None = None,
    device: str = "cpu",
    report: Callable[[int, int], None] | None = None,
    finished: Callable[[int, Training], None] | None = None,
    kept_logits: Sequence[LogitCache | None] | None = None,
    states: Sequence[Path | None] | None = None,
    save_every: float = 30.0,
    keep_states: bool = False,
    graphs: bool = False,
) -> list[Training]:
    """Train and measure several models of one shape at once; all but shape and tokens a step may differ.

    A run that ends, or diverges, leaves; the others go on. Students that read the same windows with the same
    teacher share what it says.

    Parameters
    ----------
    specs : sequence of RunSpec
        What to train, all with one `model` and one `batch_tokens`.
    corpus : Corpus or LanguageCorpus
        The text that they name.
    teachers : sequence of Module or None
        For each run its teacher, None for a supervised one; None if all are supervised.
    device : str
        "cpu", "cuda" or one of several such as "cuda:1", or "auto" for a GPU where there is one.
    report : callable or None
        Called with the place of a run among `specs` and the tokens that it was trained on since the last call.
    finished : callable or None
        Called with the place of a run and what it gave, as soon as it ends.
    kept_logits : sequence of LogitCache or None
        For each run where all logits of its teacher are kept, as for `trainer.train`.
    states : sequence of Path or None
        For each run the file in which it is kept while unfinished; a killed run goes on from there to the same
        bits, in whatever company. Such a file is not one of `trainer.train`.
    save_every : float
        Time from one such state to the next, s.
    keep_states : bool
        Leave the last state of each run there at the end, as for `trainer.train`.
    graphs : bool
        On a GPU, replay each step as one CUDA graph, captured anew when a run leaves or is distilled no longer:
        for runs of one length. Steps whose gradient is left to autograd are made as without. Written after
        PyTorch's documentation and run on a stand-in for a GPU; on a GPU neither run nor measured so far.
        Without effect on a CPU.

    Returns
    -------
    list of Training
        One for each specification, in their order. The time of a step is shared equally among its runs.

    Raises
    ------
    ValueError
        If shapes or tokens a step differ, a teacher is missing, given to a supervised run, or gives logits
        that are not numbers, or the device is not there.
    CorpusError
        If the corpus holds too few tokens and a specification does not allow repetition.
    """
    if not specs:
        return []
    if len({(spec.model, spec.batch_tokens) for spec in specs}) > 1:
        raise ValueError("runs that differ in model or batch_tokens cannot be trained together: split them")
    place = resolve_device(device)
    replays = ReplayedSteps() if graphs and replays_graphs(place) else None
    nothing = [None] * len(specs)
    columns = (specs, teachers or nothing, kept_logits or nothing, states or nothing)
    members = [
        _join(index, spec, corpus, teacher, kept, state, place)
        for index, (spec, teacher, kept, state) in enumerate(zip(*columns, strict=True))
    ]
    # Runs with one loss stand side by side, so that their losses are taken in one piece.
    members.sort(key=lambda member: (str(member.settings), member.place))
    stack = Stack([member.spec for member in members], place)
    for row, member in enumerate(members):
        _resume(member, stack, row)

    results: dict[int, Training] = {}
    looked = saved = time.perf_counter()
    count = 0
    while members:
        step = _make_step(members, stack, corpus, place, replays)
        count += 1
        if count % _LOOK_EVERY and not any(member.ended for member in members):
            continue
        finite = _finite(members, step)
        now = time.perf_counter()
        for member, sound in zip(members, finite, strict=True):
            member.seconds += (now - looked) / len(members)
            if report is not None and sound:
                report(member.place, (member.step - member.reported) * member.spec.batch_tokens)
                member.reported = member.step
        leaving = [row for row, member in enumerate(members) if member.ended or not finite[row]]
        for row in leaving:
            result = _measure(members[row], stack, row, corpus, place, finite[row])
            if (state := members[row].state) is not None and not keep_states:
                forget_state(state)
            results[members[row].place] = result
            if finished is not None:
                finished(members[row].place, result)
        if leaving:
            staying = [row for row in range(len(members)) if row not in leaving]
            members = [members[row] for row in staying]
            if staying:
                stack.keep(staying)
                if replays is not None:
                    replays.forget()
        if now - saved >= save_every:
            for row, member in enumerate(members):
                _save(member, stack, row)
            saved = time.perf_counter()
        looked = time.perf_counter()
    return [results[index] for index in range(len(specs))]


def _join(
    place: int,
    spec: RunSpec,
    corpus: Corpus | LanguageCorpus,
    teacher: nn.Module | None,
    kept: LogitCache | None,
    state: Path | None,
    device: torch.device,
) -> _Member:
    if (teacher is None) != (spec.teacher is None):
        raise ValueError(f"{spec.run}: a {spec.objective} run, {'no' if teacher is None else 'a'} teacher")
    if teacher is not None:
        teacher = teacher.to(device).requires_grad_(False).eval()
    order, epochs = reading_order(spec, corpus)
    return _Member(place, spec, order, epochs, teacher, kept, state)


def _resume(member: _Member, stack: Stack, row: int) -> None:
    """Go on from the state that a killed run left, if any."""
    if member.state is None or (found := load_state(member.state, _name(member.spec))) is None:
        return
    stack.load_state(row, found["rows"])
    member.step = member.first = found["step"]
    member.earlier = found["seconds"]


def _save(member: _Member, stack: Stack, row: int) -> None:
    if member.state is None:
        return
    content = {"rows": stack.state(row), "step": member.step, "seconds": member.earlier + member.seconds}
    with contextlib.suppress(OSError):  # on a full disk the run goes on: it need not be lost
        save_state(member.state, _name(member.spec), content)


def _name(spec: RunSpec) -> str:
    """Name states so that none is taken for one of a run by itself."""
    return f"{spec.spec_hash}-together"


def _make_step(
    members: Sequence[_Member],
    stack: Stack,
    corpus: Corpus | LanguageCorpus,
    device: torch.device,
    replays: ReplayedSteps | None,
) -> _Step:
    """Let every member make a step."""
    seq_len = stack.spec.seq_len
    read = [corpus.windows(member.spec.split, member.order[member.step], seq_len) for member in members]
    windows = send(torch.from_numpy(np.stack(read)), device)
    spoken = _ask(members, windows[..., :-1])
    groups = []
    for settings, each in groupby(members, key=lambda member: member.settings):
        side_by_side = list(each)
        first = side_by_side[0]
        groups.append(Group(first.spec, settings, len(side_by_side), first.asks))
    heard, row = [], 0
    for group in groups:
        said = [each for each in spoken[row : row + group.rows] if each is not None]
        heard += [torch.stack(said)] if said else []
        row += group.rows
    shares = [rate(member.step, member.spec) for member in members]
    for member in members:
        member.step += 1
    schedule = send(stack.schedule(shares, [member.step for member in members]), device)
    inputs = [windows, schedule, *heard]
    make = advance if replays is None else replays.advance
    logits = make(stack, groups, inputs)
    return _Step(logits, windows[..., 1:], spoken)


def _ask(members: Sequence[_Member], tokens: Tensor) -> list[Tensor | None]:
    """Let the teachers speak, each once on the same windows."""
    said: dict[tuple[str, str, bytes], Tensor] = {}
    spoken: list[Tensor | None] = []
    for member, own in zip(members, tokens, strict=True):
        if not member.asks:
            spoken.append(None)
            continue
        assert member.teacher is not None
        assert member.spec.teacher is not None
        windows = member.order[member.step]
        key = (member.spec.teacher.spec_hash, member.spec.split, windows.tobytes())
        if key not in said:
            logits = None
            if member.kept is not None:
                width = len(windows)
                logits = member.kept.logits(member.order.reshape(-1), member.step * width, width)
            if logits is None:
                with torch.no_grad(), half_precision(tokens.device):
                    logits = member.teacher(own)
                logits = logits if isinstance(member.spec.teacher, OracleSpec) else half(logits)
            if not isinstance(logits, Tensor):
                raise ValueError(
                    f"kept_logits: for {member.spec.run} some tokens are kept; runs at once share all logits: leave out form"
                )
            said[key] = send(logits, tokens.device)
        spoken.append(said[key])
    return spoken


@torch.no_grad()
def _finite(members: Sequence[_Member], step: _Step) -> list[bool]:
    """Tell whose loss is a number; a teacher whose logits are none is a fault."""
    found = []
    for row, (member, spoken) in enumerate(zip(members, step.spoken, strict=True)):
        loss = step_loss(member.spec, step.logits[row], step.labels[row], spoken)
        found.append(math.isfinite(loss.item()))
        if not found[-1] and spoken is not None and not bool(spoken.amax(-1).isfinite().all()):
            assert member.spec.teacher is not None
            raise ValueError(
                f"{member.spec.run}: teacher {member.spec.teacher.run} gives logits that are not numbers: it "
                "diverged or is damaged; train it again with a lower lr"
            )
    return found


def _measure(
    member: _Member,
    stack: Stack,
    row: int,
    corpus: Corpus | LanguageCorpus,
    device: torch.device,
    finite: bool,
) -> Training:
    """Evaluate a run that ended, as `trainer.train` does."""
    started = time.perf_counter()
    model = stack.model(row)
    evaluation = evaluate(model, corpus, member.spec.eval_tokens, member.teacher) if finite else None
    if evaluation is not None and not math.isfinite(evaluation.L):
        evaluation = None
    tokens = (member.step - member.first) * member.spec.batch_tokens
    return Training(
        model=model,
        evaluation=evaluation,
        seconds=member.earlier + member.seconds + time.perf_counter() - started,
        tokens_per_s=tokens / member.seconds,
        device=device.type
        if device.type == "cpu"
        else f"{device.type} ({torch.cuda.get_device_name(device)})",
        epochs=member.epochs,
    )
