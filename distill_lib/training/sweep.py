"""Many runs: planned, trained by worker processes, and written to the runs table as each one ends.

A sweep can be stopped at any moment and started again with the same command: runs that are in the table
are not repeated. Nothing here imports torch, unless to look for a GPU; only the workers do.
"""

import contextlib
import importlib.util
import queue
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from distill_lib import runs
from distill_lib.scaling import protocols
from distill_lib.scaling.specifications import LanguageSpec, OracleSpec, RunSpec
from distill_lib.training.cache import cache_folder
from distill_lib.training.corpus import Corpus, CorpusError, open_corpus
from distill_lib.training.enough_text import check_enough_text
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.processes import Messages, Order, WorkerProcess, at_once
from distill_lib.training.progress import Reporter
from distill_lib.training.sharing import sharing_key
from distill_lib.training.sweep_table import SweepTable

#: Bytes that kept teacher logits may take, unless told otherwise: what a mini grid needs.
LOGIT_BYTES = 2 * 10**9


class SweepError(ValueError):
    """A sweep cannot start, or had to stop; says in one line why and what to do."""


def run_preset(
    preset: str,
    *,
    protocol: Sequence[str] = (),
    seeds: int | None = None,
    out: Path | str | None = None,
    workers: int = 2,
    device: str = "cpu",
    cache: Path | str | None = None,
    quiet: bool = False,
    together: bool = False,
    graphs: bool = False,
) -> pd.DataFrame:
    """Run the protocols of a preset, as ``distill-lib sweep PRESET`` does.

    Parameters
    ----------
    preset : str
        One of ``scaling.protocols.PRESETS``.
    protocol : sequence of str
        Names of protocols; by default all of the preset.
    seeds : int or None
        Paired seeds; by default as many as each protocol needs.
    out : Path, str or None
        Table to write, or a folder for ``<preset>.csv``; by default in ``runs-local``.
    workers : int
        Worker processes, one thread each.
    device : str
        "cpu", "cuda" or one of several such as "cuda:1", or "auto" for a GPU where there is one.
    cache : Path, str or None
        Folder for corpus and teachers; by default the user's cache directory.
    quiet : bool
        Report no progress.
    together : bool
        Let each worker train several runs of one shape at once, as for `run_sweep`.
    graphs : bool
        Let it replay their steps on a GPU, as for `run_sweep`.

    Returns
    -------
    DataFrame
        The runs table.

    Raises
    ------
    SweepError
        Says in one line what is wrong and what to do.
    """
    try:
        specs = protocols.preset(preset, protocol, seeds)
    except ValueError as error:
        raise SweepError(str(error)) from None
    table = Path(out) if out is not None else Path("runs-local")
    if not table.suffix:
        table = table / f"{preset}.csv"
    options = [f" --protocol {name}" for name in protocol] + ([] if seeds is None else [f" --seeds {seeds}"])
    options += (
        [f" --device {device}"] * (device != "cpu") + [" --together"] * together + [" --graphs"] * graphs
    )
    return run_sweep(
        specs,
        table,
        workers=workers,
        device=device,
        cache=cache,
        quiet=quiet,
        command=f"distill-lib sweep {preset}{''.join(options)}",
        together=together,
        graphs=graphs,
    )


def run_sweep(
    specs: Sequence[RunSpec],
    table: Path | str,
    *,
    workers: int = 2,
    device: str = "cpu",
    cache: Path | str | None = None,
    quiet: bool = False,
    command: str = "run_sweep",
    logit_bytes: int = LOGIT_BYTES,
    save_every: float = 30.0,
    together: bool = False,
    graphs: bool = False,
) -> pd.DataFrame:
    """Train all runs that the table does not hold yet, teachers before their students.

    Parameters
    ----------
    specs : sequence of RunSpec
        The runs, all on one corpus; teachers that are not among them are added.
    table : Path or str
        The ``.csv`` file.
    workers : int
        Worker processes, one thread each.
    device : str
        "cpu", "cuda" or one of several such as "cuda:1", or "auto" for a GPU where there is one.
    cache : Path, str or None
        Folder for corpus and teachers; by default the user's cache directory.
    quiet : bool
        Report no progress.
    command : str
        What the manifest calls this sweep.
    logit_bytes : int
        Bytes that kept teacher logits may take in the cache; 0 keeps none, nor does a GPU. The runs are the
        same either way.
    save_every : float
        Time from one kept state of an unfinished run to the next, s; a killed sweep loses no more than that.
    together : bool
        Let each worker train several runs of one shape at once, as many as pay (`processes.at_once`). Small
        models are done sooner; losses differ from those of runs by themselves by rounding, and what training
        makes of it, so that a table is best made with one setting.
    graphs : bool
        With `together` on a GPU: replay each step as one CUDA graph, which spares it hundreds of calls. Not
        measured so far.

    Returns
    -------
    DataFrame
        The runs table.

    Raises
    ------
    SweepError
        Says in one line what is wrong and what to do. Rows that were written stay.
    """
    table = Path(table)
    reads_text = not specs or not isinstance(specs[0].corpus, LanguageSpec)
    if (
        reads_text and importlib.util.find_spec("tokenizers") is None
    ):  # torch: the package itself looks for it
        raise SweepError("training needs tokenizers: pip install 'distill-lib[train]'")
    if table.suffix != ".csv":
        raise SweepError(f"{table}: runs are written to a .csv file: choose another name")
    if workers < 1:
        raise SweepError(f"workers={workers}: at least one worker is needed")
    if logit_bytes < 0:
        raise SweepError(f"logit_bytes={logit_bytes}: give the bytes that logits may take, or 0 for none")
    if save_every < 0:
        raise SweepError(f"save_every={save_every}: give a time in seconds, 0 or more")
    if graphs and not together:
        raise SweepError("graphs=True replays the steps of runs at once: give together=True, too")
    if not specs:
        raise SweepError("no runs are asked for")
    if len({spec.corpus for spec in specs}) > 1:
        raise SweepError("the runs of a sweep share one corpus: sweep each corpus into its own table")
    with _one_line_errors(), _only_sweep(table), Reporter(quiet) as reporter:
        corpus = open_corpus(specs[0].corpus, cache, reporter)
        torn = runs.repair(table) if table.exists() else None
        if torn is not None:
            reporter.say(f"{table.name}: a torn line was set aside in {table.name}.torn")
        if device == "auto":
            from distill_lib.training.devices import resolve_device  # and with it torch

            device = resolve_device(device).type  # how many runs go at once hangs on it
        sweep = _Sweep(table, corpus, specs, command, torn is not None, together)
        settings = {
            "device": device,
            "logit_bytes": logit_bytes,
            "save_every": save_every,
            "together": together,
            "graphs": graphs,
        }
        sweep.run(workers, cache_folder(cache), settings, reporter)
        reporter.say(f"{len(sweep.table.rows)} runs in {table}")
    return runs.read(table)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (CorpusError, runs.RunsTableError) as error:
        raise SweepError(str(error)) from error
    except MemoryError:  # here it is the text; a worker that lacks memory names its run
        raise SweepError(
            "out of memory while the corpus was built or opened: lower corpus.megabytes, or make room and run it again"
        ) from None
    except OSError as error:
        what = f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
        raise SweepError(f"{what}: free some space or choose another folder, then run it again") from error


@contextlib.contextmanager
def _only_sweep(table: Path) -> Iterator[None]:
    table.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(table.with_name(f".{table.name}.sweep.lock"), timeout=0)
    try:
        with lock:
            yield
    except Timeout:
        raise SweepError(f"another sweep is writing {table}: wait for it, or choose another --out") from None


class _Sweep:
    """The state of one sweep: what is ready, what waits for its teacher, who works."""

    def __init__(
        self,
        table: Path,
        corpus: Corpus | LanguageCorpus,
        specs: Sequence[RunSpec],
        command: str,
        repaired: bool,
        together: bool,
    ) -> None:
        self.corpus = corpus
        wanted = {spec.spec_hash: spec for spec in [*teachers_of(specs), *specs]}
        self.table = SweepTable(table, corpus, wanted, command, repaired)
        missing = {key: spec for key, spec in wanted.items() if key not in self.table.rows}
        for spec in missing.values():
            try:
                check_enough_text(spec, corpus)
            except CorpusError as error:
                raise SweepError(f"{spec.run}: {error}") from None
        # A teacher that is measured but gone from the cache is trained again, and asks for its own teacher.
        needed = {teacher.spec_hash for teacher in teachers_of(missing.values())}
        orders = [
            Order(spec, keep=key in needed, measured=key not in missing)
            for key, spec in wanted.items()
            if key in missing or (key in needed and self.table.ended_well(spec))
        ]
        self.waiting = in_turn(orders, together)
        self.total = sum(order.cost for order in orders)
        self.ready_teachers = {OracleSpec().spec_hash}

    def run(self, workers: int, cache: Path, settings: dict[str, Any], reporter: Reporter) -> None:
        """Hand out orders until none is left; stop every worker, whatever happens."""
        self._forget_states(cache)
        if not self.waiting:
            return
        reporter.begin(f"{len(self.waiting)} runs", self.total)
        messages: Messages = queue.Queue()
        workers = min(workers, len(self.waiting))
        with contextlib.ExitStack() as stack:
            idle = [
                stack.enter_context(WorkerProcess(self.corpus.folder, cache, settings, messages))
                for _ in range(workers)
            ]
            busy: set[WorkerProcess] = set()
            while True:
                while idle and (orders := self._next(workers, settings)):
                    process = idle.pop()
                    process.send(orders)
                    busy.add(process)
                if not busy:
                    break
                process, message = messages.get()
                if self._handle(process, message, reporter):
                    busy.discard(process)
                    idle.append(process)
            for process in idle:
                process.dismiss()
        if self.waiting:  # for a teacher that diverged, or for one that waits for such a one
            lost = ", ".join(order.spec.run for order in self.waiting)
            raise SweepError(f"not run, since the teacher diverged: {lost}; lower its learning rate")

    def _forget_states(self, cache: Path) -> None:
        """Remove what is left of runs that are in the table: their sweep was killed before it could."""
        wanted = {order.spec.spec_hash for order in self.waiting}
        for state in (cache / "unfinished").glob("*.state"):
            key = state.name.partition("-")[0]
            if key in self.table.rows and key not in wanted:
                with contextlib.suppress(OSError):
                    state.unlink(missing_ok=True)

    def _next(self, workers: int, settings: dict[str, Any]) -> list[Order]:
        """Take the first order whose teacher is there; with it, if so set, others of its shape."""
        ready = [
            order
            for order in self.waiting
            if order.spec.teacher is None or order.spec.teacher.spec_hash in self.ready_teachers
        ]
        taken = ready[:1]
        if ready and settings["together"]:
            # No more than a fair share of what is ready, so that no worker idles while another has several.
            share = min(at_once(ready[0].spec, settings["device"]), -(-len(ready) // workers))
            taken = [order for order in ready if order.shape == ready[0].shape][:share]
        for order in taken:
            self.waiting.remove(order)
        return taken

    def _handle(self, process: WorkerProcess, message: dict[str, Any] | None, reporter: Reporter) -> bool:
        """Take in a message; True if its worker is free again."""
        names = ", ".join(order.spec.run for order in process.orders.values())
        if message is None:
            code = process.wait()
            ended = "was killed, most likely out of memory" if code == -9 else f"ended with code {code}"
            raise SweepError(
                f"{names}: its worker {ended} ({process.last_words() or 'no message'}): lower "
                "batch_tokens or the size of the model, or try --workers 1; run the same command to resume"
            )
        if message["event"] == "failed":
            raise SweepError(f"{names}: {message['reason']}; run the same command to resume")
        if message["event"] == "note":
            reporter.say(message["text"])
            return False
        order = process.orders[message["run"]]
        if message["event"] == "progress":
            done = order.cost * message["tokens"] / (order.spec.D + order.spec.eval_tokens / 3)
            order.reported += done
            reporter.advance(done)
            return False
        reporter.advance(order.cost - order.reported)
        if message["measures"] is not None and order.measured:
            self._compare(order.spec, message["measures"].get("L"), reporter)
        elif message["measures"] is not None:
            self.table.record(order.spec, message["measures"])
            loss = message["measures"].get("L")
            shown = "diverged" if loss is None else f"L = {loss:.4f} nats/token"
            reporter.say(f"{order.spec.run}: {shown}, {message['measures']['seconds']:.1f} s")
        if self.table.ended_well(order.spec):
            self.ready_teachers.add(order.spec.spec_hash)
        del process.orders[order.spec.spec_hash]
        return not process.orders

    def _compare(self, spec: RunSpec, loss: float | None, reporter: Reporter) -> None:
        """Say so if a teacher that was trained again is not the one of the table, whose loss its students have as L_T."""
        there = self.table.rows[spec.spec_hash]["L"]
        if loss != there:
            shown = "diverged" if loss is None else f"has L = {loss:.6f}"
            reporter.say(
                f"{spec.run}: trained again, since its weights were not in the cache, it {shown}, not {there:.6f} as in "
                "the table (another version, machine or setting): L_T of new students is that of the table"
            )


def teachers_of(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """List the teachers of runs, and the teachers of those teachers.

    Parameters
    ----------
    specs : iterable of RunSpec
        The runs.

    Returns
    -------
    list of RunSpec
        Each teacher once, after its own teacher; an oracle is none of them.
    """
    found: dict[str, RunSpec] = {}
    for spec in specs:
        if isinstance(spec.teacher, RunSpec) and spec.teacher.spec_hash not in found:
            for each in (*teachers_of([spec.teacher]), spec.teacher):
                found.setdefault(each.spec_hash, each)
    return list(found.values())


def in_turn(orders: Sequence[Order], together: bool = False) -> list[Order]:
    """Put orders in the order in which they are handed out, and count who shares a teacher's logits.

    Teachers come first, since others wait for them. Then come students for whom the same is kept of the same
    teacher, next to each other, so that it is used while it is there. Among themselves, and among all others,
    the longest go first, so that no worker ends alone.

    Parameters
    ----------
    orders : sequence of Order
        The runs; their `sharing` is set.
    together : bool
        Whether runs are trained at once, so that students of a truncated teacher share all of its logits.

    Returns
    -------
    list of Order
        The same, sorted.
    """
    groups: dict[tuple[Any, ...], list[Order]] = {}
    for order in orders:
        key = sharing_key(order.spec, together)
        if key is not None:
            groups.setdefault(key, []).append(order)
    weight: dict[str, tuple[float, str]] = {}  # of the group that a run belongs to
    for key, members in groups.items():
        for order in members:
            order.sharing = len(members)
            if len(members) > 1:
                weight[order.spec.spec_hash] = (-sum(each.cost for each in members), str(key))
    return sorted(
        orders,
        key=lambda order: (not order.keep, *weight.get(order.spec.spec_hash, (0.0, "")), -order.cost),
    )
