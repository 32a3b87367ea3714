"""One worker process of a sweep: runs come in as a line of JSON, their progress and measures go out so.

Started by `sweep` as ``python -m distill_lib.training.worker CORPUS CACHE SETTINGS``, never by hand. A worker
ends when its input does, so that none outlives its sweep, however that ended.
"""

import errno
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from distill_lib.scaling.specifications import OracleSpec, RunSpec
from distill_lib.training.cache import CACHE_VARIABLE
from distill_lib.training.checkpoints import checkpoint_path, forget_state, load_checkpoint, save_checkpoint
from distill_lib.training.corpus import Corpus, load_corpus
from distill_lib.training.devices import resolve_device
from distill_lib.training.kept_forms import kept_form
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.logit_cache import LogitCache, worth_caching
from distill_lib.training.oracle import Oracle
from distill_lib.training.sharing import kept_tokens
from distill_lib.training.together import train_together
from distill_lib.training.trainer import Training, train


@dataclass(frozen=True)
class Task:
    """One run of a line, as `processes.Order` writes it.

    Attributes
    ----------
    spec : RunSpec
        What to train.
    keep : bool
        Keep the weights, since students will need them.
    measured : bool
        The run is in the table already: only its weights are wanted, from the cache if they are there.
    sharing : int
        Students of the sweep, this one among them, that share what is kept of their teacher.
    """

    spec: RunSpec
    keep: bool
    measured: bool
    sharing: int

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Task":
        """Read a run from what JSON holds.

        Parameters
        ----------
        content : dict
            What `processes.Order.message` wrote.

        Returns
        -------
        Task
            The run.
        """
        return cls(**content | {"spec": RunSpec.model_validate(content["spec"])})


class Worker:
    """State of one worker process: the open corpus and the teacher used last.

    Parameters
    ----------
    corpus : Corpus or LanguageCorpus
        The text that all runs of the sweep read.
    cache : Path
        Cache folder, for the teachers.
    device : str
        "cpu", "cuda" or one of several such as "cuda:1", or "auto".
    logit_bytes : int
        Bytes that kept teacher logits may take; 0 for none. On a GPU none are kept: there a teacher speaks
        faster than a disk is read, by the peaks of both, and not to the same bits in another batch.
    save_every : float
        Time from one kept state of an unfinished run to the next, s.
    together : bool
        Train the runs of a line at once.
    graphs : bool
        Those on a GPU by replaying each step, as for `together.train_together`.

    Raises
    ------
    ValueError
        If the device is not there.
    """

    def __init__(
        self,
        corpus: Corpus | LanguageCorpus,
        cache: Path,
        device: str,
        logit_bytes: int,
        save_every: float,
        together: bool = False,
        graphs: bool = False,
    ) -> None:
        self._corpus, self._cache = corpus, cache
        self._save_every, self._together, self._graphs = save_every, together, graphs
        self._device = resolve_device(device)
        self._logit_bytes = logit_bytes if self._device.type == "cpu" else 0
        self._teacher: tuple[str, nn.Module] | None = None
        self._reported: list[Path] = []  # states of runs whose rows may not be in the table yet

    def run(self, orders: Sequence[Task]) -> None:
        """Train runs and report them: one after the other, or at once if the worker is so set.

        Parameters
        ----------
        orders : sequence of Task
            The runs; all of one shape if they are trained at once. That they are sent says that all runs
            reported before are in the table, so that their states can go; no runs say only that.
        """
        while self._reported:
            forget_state(self._reported.pop())
        missing = []
        for order in orders:
            if order.measured and load_checkpoint(self._folder(order.spec)) is not None:
                emit(event="done", run=order.spec.spec_hash, measures=None)
            else:
                missing.append(order)
        if self._together:
            self._run_together(missing)
        else:
            for order in missing:
                self._run_alone(order)

    def _run_alone(self, order: Task) -> None:
        spec = order.spec
        teacher = self._load_teacher(spec.teacher) if spec.teacher is not None else None
        result = train(
            spec,
            self._corpus,
            teacher=teacher,
            device=str(self._device),
            report=lambda tokens: emit(event="progress", run=spec.spec_hash, tokens=tokens),
            kept_logits=self._kept_logits(order, teacher),
            state=self._state(spec),
            save_every=self._save_every,
            keep_state=True,
        )
        self._finish(order, result)

    def _run_together(self, orders: Sequence[Task]) -> None:
        # Students of one teacher get one teacher, not a copy each.
        teachers = {
            order.spec.teacher.spec_hash: self._load_teacher(order.spec.teacher)
            for order in orders
            if order.spec.teacher is not None
        }
        own = [
            None if order.spec.teacher is None else teachers[order.spec.teacher.spec_hash] for order in orders
        ]
        train_together(
            [order.spec for order in orders],
            self._corpus,
            teachers=own,
            device=str(self._device),
            report=lambda place, tokens: emit(
                event="progress", run=orders[place].spec.spec_hash, tokens=tokens
            ),
            finished=lambda place, result: self._finish(orders[place], result),
            kept_logits=[
                self._kept_logits(order, teacher) for order, teacher in zip(orders, own, strict=True)
            ],
            states=[self._state(order.spec) for order in orders],
            save_every=self._save_every,
            keep_states=True,
            graphs=self._graphs,
        )

    def _finish(self, order: Task, result: Training) -> None:
        """Keep and report what a run gave."""
        if order.keep and not result.diverged:
            save_checkpoint(self._folder(order.spec), result.model)
        measures = {
            "status": "diverged" if result.evaluation is None else "ok",
            # The fields of an evaluation are columns of the runs table; those of a diverged run stay empty.
            **({} if result.evaluation is None else asdict(result.evaluation)),
            "epochs": result.epochs,
            "tokens_per_s": round(result.tokens_per_s),
            "seconds": round(result.seconds, 2),
            "device": result.device,
        }
        emit(event="done", run=order.spec.spec_hash, measures=measures)
        self._reported.append(self._state(order.spec))

    def _folder(self, spec: RunSpec) -> Path:
        """Tell where the weights of a run are kept."""
        return checkpoint_path(self._cache, spec, self._corpus.id, self._device.type, together=self._together)

    def _state(self, spec: RunSpec) -> Path:
        """Tell where an unfinished run is kept."""
        return self._cache / "unfinished" / f"{self._folder(spec).name}.state"

    def _kept_logits(self, order: Task, teacher: nn.Module | None) -> LogitCache | None:
        spec = order.spec
        if teacher is None or not isinstance(spec.teacher, RunSpec):
            return None
        # Runs at once are asked for all logits: what each sees of them is cut in the step.
        k = None if self._together else kept_tokens(spec)
        if not self._logit_bytes or not worth_caching(spec.teacher.model, order.sharing, k):
            return None
        source = self._folder(spec.teacher)
        return LogitCache(
            self._cache / "logits",
            f"{source.name}-s{spec.seed}",
            teacher.to(self._device),
            self._corpus,
            spec.split,
            spec.model.seq_len,
            limit=self._logit_bytes,
            note=lambda line: emit(event="note", text=f"{spec.run}: {line}"),
            form=None if self._together else kept_form(spec),
        )

    def _load_teacher(self, spec: RunSpec | OracleSpec) -> nn.Module:
        if self._teacher is None or self._teacher[0] != spec.spec_hash:
            if isinstance(spec, OracleSpec):
                assert isinstance(self._corpus, LanguageCorpus)  # the specification holds it
                self._teacher = (spec.spec_hash, Oracle(self._corpus.language))
                return self._teacher[1]
            teacher = load_checkpoint(self._folder(spec))
            if teacher is None:
                raise FileNotFoundError(
                    f"the weights of teacher {spec.run} are gone from the cache, or damaged"
                )
            self._teacher = (spec.spec_hash, teacher)
        return self._teacher[1]


def emit(**message: Any) -> None:
    """Send one message to the sweep.

    Parameters
    ----------
    **message : object
        Anything that JSON can hold.
    """
    print(json.dumps(message), file=sys.__stdout__, flush=True)


def reason(error: Exception) -> str:
    """Say why a run failed, and what to do about what is known.

    Parameters
    ----------
    error : Exception
        What was raised.

    Returns
    -------
    str
        One line.
    """
    causes: list[BaseException] = [error]
    while (before := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(before)  # a capture that lacks memory ends with another error
    starved = next((each for each in causes if _lacks_memory(each)), None)
    if starved is not None:
        return (
            f"out of memory ({_first_line(starved)}): lower batch_tokens or the size of the model, take fewer "
            "--workers, or leave out --together"
        )
    said = _first_line(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk of the cache is full ({said}): free some space or move the cache ({CACHE_VARIABLE})"
    return said


def _lacks_memory(error: BaseException) -> bool:
    # The allocator of PyTorch for the CPU, and the libraries of a GPU, raise plain RuntimeErrors.
    words = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def main() -> None:
    """Serve runs until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sweep decides when its workers stop
    sys.stdout = sys.stderr  # the real one carries messages only
    torch.set_num_threads(1)
    folder, cache, settings = sys.argv[1:]
    worker: Worker | None = None
    for line in sys.stdin:
        try:
            if worker is None:  # here, so that what is wrong with a setting is told as such
                worker = Worker(load_corpus(Path(folder)), Path(cache), **json.loads(settings))
            worker.run([Task.read(content) for content in json.loads(line)])
        except BrokenPipeError:
            return
        except Exception as error:  # told to the sweep, which names the run
            emit(event="failed", reason=reason(error))


if __name__ == "__main__":
    main()
