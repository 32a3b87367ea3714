"""The table of a sweep while it grows: which runs it holds, a row for each that ends, and the manifest beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill_lib import runs
from distill_lib.measures import Bin, append_measures
from distill_lib.scaling.specifications import OracleSpec, RunSpec
from distill_lib.training import provenance
from distill_lib.training.corpus import Corpus
from distill_lib.training.language_corpus import LanguageCorpus
from distill_lib.training.table_state import is_ahead


class SweepTable:
    """The runs table that a sweep writes, with its manifest and its measures by bin.

    Parameters
    ----------
    path : Path
        The ``.csv`` file; it need not be there yet.
    corpus : Corpus or LanguageCorpus
        The text of all its runs.
    specs : mapping of str to RunSpec
        What the sweep asks for, by hash; the manifest lists it from the first row on.
    command : str
        What the manifest calls the sweep.
    repaired : bool
        Whether a torn line was just set aside, so that the table cannot be the one of its manifest.

    Raises
    ------
    RunsTableError
        If the table holds runs on another corpus, or it, its measures or its manifest were changed or damaged.
    """

    def __init__(
        self,
        path: Path,
        corpus: Corpus | LanguageCorpus,
        specs: Mapping[str, RunSpec],
        command: str,
        repaired: bool = False,
    ) -> None:
        self._path, self._corpus = path, corpus
        self._commit = provenance.commit()
        there = runs.read(path) if path.exists() else runs.empty()
        other = set(there["corpus"]) - {corpus.id}
        if other:
            raise runs.RunsTableError(
                f"{path.name} holds runs on corpus {other.pop()}, here the corpus is {corpus.id} "
                "(other package versions or options): choose another --out"
            )
        self.rows: dict[str, dict[str, Any]] = {
            str(row["spec_hash"]): {str(name): value for name, value in row.items()}
            for row in there.to_dict("records")
        }
        self._begin_manifest(command, specs, repaired)

    def ended_well(self, spec: RunSpec) -> bool:
        """Tell whether the table holds a run that did not diverge.

        Parameters
        ----------
        spec : RunSpec
            The run, which the table must hold.

        Returns
        -------
        bool
            Whether its status is "ok".
        """
        return bool(self.rows[spec.spec_hash]["status"] == "ok")

    def record(self, spec: RunSpec, measures: dict[str, Any]) -> None:
        """Write the row of a run that ended; its teacher's is there.

        Parameters
        ----------
        spec : RunSpec
            The run.
        measures : dict
            What its worker measured.
        """
        teachers = self.rows
        if isinstance(self._corpus, LanguageCorpus):
            oracle = OracleSpec()
            truth = {"run": oracle.run, "N": None, "D": None, "L": self._corpus.entropy_rate}
            teachers = self.rows | {oracle.spec_hash: truth}
        bins = [Bin(**one) for one in measures.pop("bins", ())]
        if bins:
            append_measures(self._path, spec.spec_hash, bins)
        row = row_of(spec, measures, teachers) | {"corpus": self._corpus.id, "commit": self._commit}
        runs.append(self._path, row)
        self.rows[spec.spec_hash] = row
        self._claim()
        runs.write_manifest(self._path, self._manifest)

    def _begin_manifest(self, command: str, specs: Mapping[str, RunSpec], repaired: bool) -> None:
        self._manifest: dict[str, Any] = {"sweeps": [], "specs": {}}
        stale = len(self.rows) == 1  # without a manifest: a sweep was killed after its first row
        if runs.manifest_path(self._path).exists() and self._path.exists():
            manifest = runs.read_manifest(self._path)
            stale = repaired or is_ahead(self._path, manifest)
            self._manifest = {key: manifest.get(key, empty) for key, empty in self._manifest.items()}
        # Rows that no sweep claims are from the last one, killed between row and manifest.
        self._claim()
        self._manifest["specs"] |= {key: spec.model_dump(mode="json") for key, spec in specs.items()}
        self._manifest["sweeps"].append(
            {
                "command": command,
                "commit": self._commit,
                "environment": provenance.environment(),
                "corpus": {
                    key: value
                    for key, value in self._corpus.manifest.items()
                    if key not in ("vocab_size", "sha256", "files", "manifest_hash")
                },
                "runs": [],
            }
        )
        if stale:  # now, since there may be no run left to be recorded
            self._claim()
            runs.write_manifest(self._path, self._manifest)

    def _claim(self) -> None:
        """Let the last sweep have the rows that none has, and none a row that is not there."""
        if self._manifest["sweeps"]:
            there = {row["run"] for row in self.rows.values()}
            for sweep in self._manifest["sweeps"]:
                sweep["runs"] = [run for run in sweep["runs"] if run in there]
            claimed = {run for sweep in self._manifest["sweeps"] for run in sweep["runs"]}
            names = [row["run"] for row in self.rows.values() if row["run"] not in claimed]
            self._manifest["sweeps"][-1]["runs"] += names


def row_of(spec: RunSpec, measures: dict[str, Any], rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Put together the row of a run; corpus and commit are the sweep's to add.

    Parameters
    ----------
    spec : RunSpec
        The run.
    measures : dict
        What its worker measured.
    rows : dict
        Rows so far by specification hash, among them the teacher's, or what stands for an oracle's.

    Returns
    -------
    dict
        Value by column.
    """
    row = spec.row
    if spec.teacher is not None:
        teacher = rows[spec.teacher.spec_hash]
        row |= {"teacher_run": teacher["run"]} | {f"{name}_T": teacher[name] for name in ("N", "D", "L")}
    return row | measures
