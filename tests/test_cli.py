"""The command line as a person meets it: real processes, real exit statuses, one line for each fault."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "distill_lib.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd or ROOT,
    )


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


def test_plan_prints_a_table_and_json_agrees_with_the_library():
    import distill_lib as dl

    arguments = ["plan", "--student", "1e9", "--budget", "1e21"]
    assert "teacher inference" in run(*arguments).stdout
    answer = json.loads(run(*arguments, "--json").stdout)
    assert answer["L_S"] == dl.plan(N_S=1e9, C=1e21, scenario="teacher_inference").L_S


def test_the_two_readings_give_different_plans():
    losses = {
        reading: json.loads(
            run("plan", "--student", "1e9", "--budget", "1e21", "--reading", reading, "--json").stdout
        )["L_S"]
        for reading in ("reconciled", "printed")
    }
    assert losses["printed"] < losses["reconciled"] - 0.005


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["plan", "--student", "-1", "--budget", "1e21"], "N_S"),
        (["plan", "--student", "1e9", "--budget", "nan"], "C"),
        (["runs", "check", "no/such/table.csv"], "no/such/table.csv"),
        (["sweep", "marathon"], "smoke"),
    ],
)
def test_a_fault_is_one_line_that_names_it(arguments, named):
    result = run(*arguments)
    assert result.returncode == 1
    assert named in one_line(result)


def test_runs_check_accepts_the_committed_table_and_names_what_is_wrong(tmp_path):
    table = ROOT / "data" / "runs" / "smoke.csv"
    assert "runs in order" in run("runs", "check", str(table)).stdout
    text = table.read_text().splitlines()
    columns = text[0].split(",")
    row = text[1].split(",")
    row[columns.index("L")] = "-3.0"
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join([text[0], ",".join(row), *text[2:]]) + "\n")
    result = run("runs", "check", str(broken))
    assert result.returncode == 1
    line = one_line(result)
    assert "L" in line
    assert "-3.0" in line


FOREIGN = "Model Size (M),Train FLOPs,Val loss\n" + "".join(
    f"{N},{6e6 * N * D},{1.8 + 482 / (1e6 * N) ** 0.35 + 2085 / D**0.37}\n"
    for N in (100, 300, 1000, 3000)
    for D in (4e9, 2e10, 1e11)
)


def test_runs_check_reads_a_table_of_others(tmp_path):
    table = tmp_path / "theirs.csv"
    table.write_text(FOREIGN)
    result = run("runs", "check", str(table))
    assert result.returncode == 1
    assert "\x1b[" not in result.stdout  # plain text where it is piped
    assert "--tokens-from 6ND" in result.stdout
    assert "--unit N=millions" in result.stdout
    options = ("--tokens-from", "6ND", "--unit", "N=millions")
    mended = run("runs", "check", str(table), *options)
    assert mended.returncode == 0, mended.stdout
    assert "12 rows read, 12 used, 0 left out" in mended.stdout
    assert "N from 'Model Size (M)', in millions: 1e+08 to 3e+09" in mended.stdout
    answer = json.loads(run("runs", "check", str(table), *options, "--json").stdout)
    assert answer["usable"]
    assert answer["columns"] == {"N": "Model Size (M)", "L": "Val loss", "C": "Train FLOPs"}


def test_runs_check_takes_columns_by_name_and_another_notation(tmp_path):
    table = tmp_path / "theirs.csv"
    lines = [
        f"{N:.0f};{D:.0f};{2 + 1e3 / N**0.4:.4f};x=1".replace(".", ",")
        for N in (1e8, 1e9, 1e10)
        for D in (1e10, 1e11, 1e12)
    ]
    table.write_text("\n".join(["a=b;data;odd;note", *lines]) + "\n")
    options = ["--column", "N=a=b", "--column", "L=odd", "--decimal", ","]
    result = run("runs", "check", str(table), *options)
    assert result.returncode == 0, result.stdout
    assert "N from 'a=b'" in result.stdout
    assert "kept, not used: note" in result.stdout
    assert run("runs", "check", str(table), *options[:4]).returncode == 1


def test_runs_check_json_of_our_table_holds_both_kinds_apart():
    table = str(ROOT / "data" / "runs" / "smoke.csv")
    answers = [
        json.loads(run("runs", "check", table, "--json", *more).stdout) for more in ((), ("--distillation",))
    ]
    assert [answer["kind"] for answer in answers] == ["supervised", "distillation"]
    assert sum(answer["rows_used"] for answer in answers) == answers[0]["rows_read"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--column", "N"], "--column N is no pair"),
        (["--column", "N=x", "--column", "D=x"], "'x' for N and for D"),
        (["--column", "M=x"], "columns['x'] = 'M' is unknown"),
        (["--unit", "L=bit"], "units['L'] = 'bit' is unknown"),
        (["--unit", "L=bits-per-byte"], "--bytes-per-token 4.4"),
    ],
)
def test_a_wrong_option_of_runs_check_is_one_line(tmp_path, options, named):
    (tmp_path / "t.csv").write_text("N,D,L\n1e9,2e10,2.5\n")
    result = run("runs", "check", str(tmp_path / "t.csv"), *options)
    assert result.returncode == 1
    assert named in one_line(result)


def test_an_interrupted_sweep_says_how_to_go_on(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "distill_lib.cli", "sweep", "smoke", "--out", str(tmp_path / "smoke.csv")],
        cwd=tmp_path,
        env=os.environ | {"DISTILL_LIB_CACHE": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    process.stderr.readline()  # its first word: it is at work
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the runs that were finished are in the table" in rest.splitlines()[-1]
    assert "Traceback" not in rest


def test_help_lists_the_commands():
    text = run("--help").stdout
    for command in ("plan", "sweep", "runs"):
        assert command in text


# ------------------------------------------------------------------ fit


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Runs of a known law, as others would write them down."""
    import pandas as pd

    import distill_lib as dl

    folder = tmp_path_factory.mktemp("tables")
    law = dl.published_law()
    runs = dl.simulate.simulate_supervised(dl.paper_protocols.supervised_runs(), law.supervised, seed=0)
    table = pd.DataFrame(
        {"Model Size": runs["N"], "Tokens": runs["D"], "loss": runs["L"], "series": runs["cluster"]}
    )
    table.to_csv(folder / "runs.csv", index=False)
    grid = dl.paper_protocols.distillation_runs(law.supervised).iloc[::6]
    students = dl.simulate.simulate_distillation(grid, law, seed=0)
    students[["N_S", "D_S", "L_T", "L_S"]].to_csv(folder / "students.csv", index=False)
    return folder


def test_fit_prints_the_law_its_intervals_and_its_status(tables):
    result = run("fit", str(tables / "runs.csv"), "--bootstrap", "50", "--cluster", "series")
    assert result.returncode == 0, result.stderr
    assert "73 rows read, 73 used" in result.stdout
    assert "50 cluster resamples" in result.stdout
    assert "status: trustworthy" in result.stdout.splitlines()[-1]
    assert "90 % interval" in result.stdout


def test_fit_as_json_agrees_with_the_library(tables):
    import pandas as pd

    import distill_lib as dl

    answer = json.loads(
        run("fit", str(tables / "runs.csv"), "--gamma", "1", "--bootstrap", "20", "--json").stdout
    )
    table = pd.read_csv(tables / "runs.csv")
    fit = dl.fit_supervised_law(table["Model Size"], table["Tokens"], table["loss"], gamma=1.0)
    assert answer["fit"]["law"]["alpha"] == pytest.approx(fit.law.alpha, rel=1e-6)
    assert answer["observations"]["columns"]["N"] == "Model Size"
    assert set(answer["intervals"]["coefficients"]) >= {"E", "alpha", "a"}


def test_a_saved_law_serves_as_the_first_stage(tables, tmp_path):
    from distill_lib.scaling.saved import load_law

    law, drawing = tmp_path / "law.json", tmp_path / "fit.png"
    first = run("fit", str(tables / "runs.csv"), "--save", str(law), "--plot", str(drawing))
    assert first.returncode == 0, first.stderr
    assert drawing.stat().st_size > 10_000
    assert (tmp_path / "fit-profiles.png").is_file(), "the runs lie on IsoFLOP profiles"
    second = run("fit", str(tables / "students.csv"), "--distillation", "--supervised", str(law), "--json")
    answer = json.loads(second.stdout)
    assert answer["fit"]["law"]["supervised"]["alpha"] == load_law(law).alpha
    assert "law.json" in answer["supervised"]


def test_a_table_of_supervised_runs_serves_as_the_first_stage(tables):
    result = run(
        "fit", str(tables / "students.csv"), "--distillation", "--supervised", str(tables / "runs.csv")
    )
    assert result.returncode == 0, result.stderr
    assert "first stage: fitted to 73 supervised runs of runs.csv: trustworthy" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["students.csv", "--distillation", "--supervised", "broken.json"], "broken.json is no JSON"),
        (["runs.csv", "--gamma", "one"], "--gamma one is no number; type free"),
        (["runs.csv", "--cluster", "seed"], "--cluster seed: no such column; there are N, D, L"),
        (["students.csv"], "students.csv cannot be fitted: mend the errors above"),
        (["nowhere.csv"], "nowhere.csv"),
    ],
)
def test_fit_refuses_in_one_line(tables, arguments, words):
    (tables / "broken.json").write_text("{")
    given = [str(tables / a) if a.endswith((".csv", ".json")) else a for a in arguments]
    result = run("fit", *given)
    assert result.returncode == 1
    assert words in one_line(result)


def test_a_fit_that_fails_says_so_in_its_exit_status(tables):
    import pandas as pd

    line = pd.read_csv(tables / "runs.csv").iloc[:11]
    line.to_csv(tables / "line.csv", index=False)
    result = run("fit", str(tables / "line.csv"), "--allow", "in_step")
    assert result.returncode == 1
    assert "status: failed: all runs have the same tokens per parameter" in result.stdout
