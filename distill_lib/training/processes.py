"""Worker processes of a sweep, and the orders that they carry out; what they do is in `worker`."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_lib.scaling.prices import predicted_seconds
from distill_lib.scaling.specifications import ModelSpec, RunSpec

#: Environment of a worker. One thread each: threads of one worker only take the cores from the other. And
#: glibc gives every freed logit tensor back to the system and fetches it again, page by page, for up to a
#: third of a step; told to keep memory, it does not. Other systems ignore this. Bits do not change.
WORKER_VARIABLES = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1") | (
    dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(2**30))
)
_LONGEST_GOODBYE = 60  # s

Messages = queue.Queue[tuple["WorkerProcess", dict[str, Any] | None]]


@dataclass
class Order:
    """One run that is to be trained.

    Attributes
    ----------
    spec : RunSpec
        What to train.
    keep : bool
        Whether students will need its weights.
    measured : bool
        Whether it is in the table already, so that its weights alone are wanted.
    sharing : int
        Runs of the sweep, this one among them, that share what is kept of their teacher's logits.
    cost : float
        Work that it makes: seconds on one thread, as predicted.
    reported : float
        Work that was reported as done.
    """

    spec: RunSpec
    keep: bool
    measured: bool
    sharing: int = 1
    cost: float = field(init=False)
    reported: float = 0.0

    def __post_init__(self) -> None:
        self.cost = predicted_seconds(self.spec)

    @property
    def shape(self) -> tuple[ModelSpec, int]:
        """What runs must have in common to be trained together."""
        return self.spec.model, self.spec.batch_tokens

    def message(self) -> dict[str, Any]:
        """Write the order as a worker reads it.

        Returns
        -------
        dict
            What JSON can hold.
        """
        spec = self.spec.model_dump(mode="json")
        return {"spec": spec, "keep": self.keep, "measured": self.measured, "sharing": self.sharing}


def at_once(spec: RunSpec, device: str) -> int:
    """Tell how many runs of one shape a worker is to train at once, where it may.

    Parameters
    ----------
    spec : RunSpec
        One of them.
    device : str
        "cpu", "cuda" or one of several such as "cuda:1".

    Returns
    -------
    int
        On a CPU what was fastest (``benchmarks/training.py``): four, up to a width of 64, which is as far as was
        measured, else one. On a GPU 32, without a measurement: there a call costs more, and cores abound.
    """
    if device.startswith("cuda"):
        return 32
    return 4 if spec.model.d_model <= 64 else 1


class WorkerProcess:
    """One worker process and the orders that it works on; a context that ends with the process.

    Parameters
    ----------
    corpus : Path
        Folder of the corpus.
    cache : Path
        Cache folder, for the teachers.
    settings : dict
        What `worker.Worker` takes beside them, by name.
    messages : Queue
        Where its messages go, each with the process that sent it; None once it has ended.
    """

    def __init__(
        self,
        corpus: Path,
        cache: Path,
        settings: dict[str, Any],
        messages: Messages,
    ) -> None:
        self.orders: dict[str, Order] = {}  # not yet done, by the hash of their specification
        package = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        arguments = [str(corpus), str(cache), json.dumps(settings)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "distill_lib.training.worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **WORKER_VARIABLES, "PYTHONPATH": paths},
        )
        self._words: list[str] = []
        self._threads = [
            threading.Thread(target=self._forward, args=(messages,), daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]

    def __enter__(self) -> "WorkerProcess":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _forward(self, messages: Messages) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # half a line, from a worker that was killed
            for line in self._process.stdout:
                messages.put((self, json.loads(line)))
        messages.put((self, None))

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._words.append(line.strip())

    def send(self, orders: Sequence[Order]) -> None:
        """Give the worker runs to train; what it reported before must be in the table.

        Parameters
        ----------
        orders : sequence of Order
            One run, or several of one shape.
        """
        self.orders = {order.spec.spec_hash: order for order in orders}
        self._write(orders)

    def _write(self, orders: Sequence[Order]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its end is reported by the reading thread
            self._process.stdin.write(json.dumps([order.message() for order in orders]) + "\n")
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """Tell an idle worker that all it reported is in the table, and let it end."""
        self._write([])
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it is stopped all the same
            self._process.wait(timeout=_LONGEST_GOODBYE)

    def wait(self) -> int:
        """Wait for the end of a process that closed its output.

        Returns
        -------
        int
            Its exit code.
        """
        return self._process.wait()

    def last_words(self) -> str:
        """Tell what a process said before it ended.

        Returns
        -------
        str
            The last line that it wrote to standard error, if any.
        """
        return next((line for line in reversed(self._words) if line), "")
