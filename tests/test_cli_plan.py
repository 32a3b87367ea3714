"""``distill-lib plan``: what is typed is what is asked, what is printed is what the library says."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import distill_lib as dl
from distill_lib.cli import app, main
from distill_lib.scaling.saved import save_fit

BASIC = ("plan", "--student", "1B", "--budget", "1e21")


def tell(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def answer(*arguments):
    return json.loads(tell(*arguments, "--json"))


@pytest.fixture
def fault(monkeypatch, capsys):
    """Run a command that must fail; return its exit status and its only line."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["distill-lib", *map(str, arguments)])
        try:
            status = main()
        except SystemExit as stop:
            status = stop.code
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        return status, lines[0]

    return run


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A law fitted to students of the published one, saved with and without draws, and a supervised law."""
    folder, law = tmp_path_factory.mktemp("laws"), dl.published_law()
    N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(1.5e8, 7e9, 4), (10, 40, 160)))
    N_S, M, L_T = np.repeat(N, 4), np.repeat(D, 4), np.tile((1.8, 2.0, 2.2, 2.6), N.size)
    L_S = law.loss(N_S, M * N_S, L_T) * np.exp(0.003 * np.random.default_rng(1).normal(size=L_T.size))
    fit = dl.fit_distillation_law(N_S, M * N_S, L_T, L_S, supervised=law.supervised)
    save_fit(folder / "law.json", fit, fit.bootstrap(15))
    save_fit(folder / "bare.json", fit)
    noise = np.exp(0.003 * np.random.default_rng(2).normal(size=N.size))
    runs = dl.fit_supervised_law(N, N * D, law.supervised.loss(N, N * D) * noise, gamma=1.0)
    save_fit(folder / "supervised.json", runs)
    return folder, fit


def test_friendly_units_ask_the_same_question():
    p = dl.plan(1.5e9, 1e22, max_D_S=3e11, students_sharing=4, inference_tokens=1e12)
    spellings = [
        ("--student", "1.5B", "--budget", "1e22", "--tokens", "300B", "--inference-tokens", "1T"),
        (
            "--student",
            "1.5e9",
            "--budget",
            "1e22 FLOPs",
            "--tokens",
            "300e9 tokens",
            "--inference-tokens",
            "1e12",
        ),
    ]
    for typed in spellings:
        found = answer("plan", *typed, "--students", "4", "--draws", "0")
        del found["report"]
        assert found == json.loads(p.to_json())


def test_the_tokens_of_a_teacher_can_be_capped():
    typed = ("plan", "--student", "3B", "--budget", "1e23", "--draws", "0")
    found = answer(*typed, "--max-teacher-tokens", "100B tokens")
    assert found["D_T"] == 1e11 == found["question"]["max_D_T"]
    assert found["L_S"] == dl.plan(3e9, 1e23, max_D_T=1e11).L_S


def test_several_students_are_a_family(tmp_path):
    typed = ("plan", "--student", "500M", "--student", "1B", "--student", "4B", "--budget", "64xH100x2d")
    paid = ("--scenario", "teacher_pretraining_inference", "--weight", "1", "--weight", "2", "--weight", "1")
    found = answer(*typed, *paid, "--logits", "each", "--max-teacher-tokens", "100B")
    C = 64 * 2 * 86400 * 989.5e12 * 0.4
    p = dl.plan_family([5e8, 1e9, 4e9], C, weights=[1, 2, 1], logits="each", max_D_T=1e11)
    report = found.pop("report")
    assert found == json.loads(p.to_json())
    assert report["logits"]["all"] == p.logits().bytes
    text = tell(*typed, *paid)
    assert str(dl.plan_family([5e8, 1e9, 4e9], C, weights=[1, 2, 1])) in text
    assert "both readings of B'" in text
    assert "Cost: 128 H100-days" in text
    one_for_all = answer("plan", "--student", "1B", "--student", "2B", "--target", "2.3", "--draws", "0")
    assert one_for_all["L_S"] == pytest.approx([2.3, 2.3])


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("--student", "2B", "--students", "4"), "--students is of one student; leave it out for a family"),
        (("--student", "2B", "--plot", "a.png"), "--plot is of one student"),
        (("--student", "2B", "--weight", "1"), "weights has 1 entries for 2 students"),
        (("--weight", "1"), "--weight is of a family; leave it out for one student"),
        (("--logits", "each"), "--logits is of a family"),
        (("--target", "2.2"), "two questions"),
    ],
)
def test_what_is_of_a_family_and_what_is_not(typed, words, fault):
    status, line = fault(*BASIC, *typed)
    assert status != 0
    assert words in line


def test_a_fleet_is_a_budget_and_a_price():
    found = answer("plan", "--student", "1.5B", "--budget", "64xH100x14d", "--draws", "0")
    assert found["budget"] == 64 * 14 * 86400 * 989.5e12 * 0.4
    cost = found["report"]["cost"]
    assert cost["device_days"] == pytest.approx(64 * 14, rel=1e-9)
    assert cost["days"] == pytest.approx(14, rel=1e-9)
    half = answer(
        "plan", "--student", "1.5B", "--budget", "64xH100x14d", "--utilisation", "20%", "--draws", "0"
    )
    assert half["budget"] == pytest.approx(found["budget"] / 2)
    priced = answer("plan", "--student", "1.5B", "--target", "2.3", "--gpus", "8xA100", "--draws", "0")
    assert priced["report"]["cost"]["days"] == pytest.approx(priced["C"] / (8 * 312e12 * 0.4 * 86400))
    text = tell("plan", "--student", "1.5B", "--budget", "64xH100x14d", "--draws", "0")
    assert "Cost: 896 H100-days" in text
    assert "NVIDIA H100 data sheet" in text


def test_one_day_is_a_day_and_one_teacher_is_no_choice(tmp_path):
    table = tmp_path / "teachers.csv"
    table.write_text("name,N_T,D_T\nonly,1B,2T\n")
    typed = ("plan", "--student", "1B", "--budget", "8xH100x1d", "--draws", "0")
    text = tell(*typed, "--teachers", table)
    assert ", 1 day on 8" in text
    assert "serves best" not in text
    assert "2 days on 4" in tell("plan", "--student", "1B", "--budget", "4xH100x2d", "--draws", "0")


def test_lifetime_inference_is_in_the_bill_and_not_in_the_training_days():
    typed = ("plan", "--student", "1B", "--budget", "1e22", "--gpus", "8xH100", "--draws", "0")
    found = answer(*typed, "--inference-tokens", "1T")
    assert found["flops_inference"] > 0.2e22
    expected = (found["C"] - found["flops_inference"]) / (989.5e12 * 0.4 * 86400)
    assert found["report"]["cost"]["device_days"] == pytest.approx(expected)


def test_the_text_holds_every_part():
    text = tell(*BASIC, "--gpus", "8xH100", "--seed", "3")
    p = dl.plan(1e9, 1e21)
    unsure = p.uncertainty(seed=3)
    for part in (str(p), str(unsure), "Cost: ", str(p.logits()), str(p.logits(128))):
        assert part in text


def test_json_holds_intervals_and_storage_and_reads_back():
    found = answer(*BASIC, "--level", "0.5", "--draws", "100", "--top-k", "64")
    p = dl.plan(1e9, 1e21)
    assert found["report"]["uncertainty"] == json.loads(
        json.dumps(p.uncertainty(count=100, level=0.5).to_dict())
    )
    assert found["report"]["logits"] == {"all": p.logits().bytes, "top_64": p.logits(64).bytes}
    assert dl.Plan.from_dict(found) == p


def test_wider_intervals_on_demand():
    narrow, wide = (answer(*BASIC, "--widen", w)["report"]["uncertainty"]["intervals"]["gap"] for w in (1, 3))
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]
    near = answer(*BASIC, "--within", "1%")["report"]["uncertainty"]
    assert near["intervals"]["gap"]["high"] < narrow["high"]
    assert "within 0.01" in near["meaning"]


def test_a_target_that_no_other_law_reaches_still_gets_its_plan(own):
    folder, _ = own
    content = json.loads((folder / "law.json").read_text())
    content["draws"] = [{"supervised": content["law"]["supervised"], **draw} for draw in content["draws"]]
    content["law"] = {**content["law"], "supervised": dict(content["law"]["supervised"])}
    content["law"]["supervised"]["E"] -= 0.2
    (folder / "low.json").write_text(json.dumps(content))
    low = dl.load_law(folder / "low.json").best_teacher(1e9, 1e17)[1]
    typed = ("plan", "--student", "1B", "--scenario", "best_case", "--law", folder / "low.json")
    text = tell(*typed, "--target", f"{low + 0.01:.4f}")
    assert "student loss L_S" in text
    assert "No intervals: only 0 of 15 draws have an answer" in text


def test_a_saved_plan_is_the_printed_one_and_the_drawing_is_there(tmp_path):
    path, drawing = tmp_path / "plan.json", tmp_path / "plan.png"
    text = tell(*BASIC, "--draws", "20", "--save", path, "--plot", drawing)
    assert text.splitlines()[-2:] == [f"wrote {drawing}", f"wrote {path}"]
    assert drawing.stat().st_size > 10_000
    assert json.loads(path.read_text()) == answer(*BASIC, "--draws", "20")
    assert dl.Plan.from_dict(json.loads(path.read_text())) == dl.plan(1e9, 1e21)


def test_teachers_from_a_table(tmp_path):
    table = tmp_path / "teachers.csv"
    table.write_text("name,N_T,D_T,L_T\nsmall,500M,100B,\nmid,1e9,2e11,2.05\nbig,30B,600B,\n")
    found = answer("plan", "--student", "1B", "--budget", "1e22", "--teachers", table, "--draws", "0")
    p = dl.plan(1e9, 1e22, teachers=[(5e8, 1e11), (1e9, 2e11, 2.05), (3e10, 6e11)])
    assert (found["L_S"], found["teacher"]) == (p.L_S, p.teacher)
    name = ("small", "mid", "big")[p.teacher]
    assert f"Of 3 teachers, {name} serves best." in found["report"]["notes"]


def test_the_printed_reading():
    found = answer(*BASIC, "--reading", "printed", "--draws", "10")
    assert found["L_S"] == dl.plan(1e9, 1e21, law=dl.published_law("printed")).L_S
    assert set(found["report"]["uncertainty"]["readings"]) == {"reconciled", "printed"}


def test_the_accuracy_settles_what_is_close():
    assert answer(*BASIC, "--draws", "0")["outcome"] == "too close to call"
    assert answer(*BASIC, "--draws", "0", "--accuracy", "0.1%")["outcome"] == "distil"


def test_the_commands_on_the_page_that_plans_are_commands():
    page = (Path(__file__).parents[1] / "book" / "plan.md").read_text()
    commands = [line for line in page.splitlines() if line.startswith("distill-lib plan ")]
    assert len(commands) >= 3
    for command in commands:
        found = answer(*shlex.split(command)[1:], "--draws", "0")
        assert found["verdict"] == dl.Plan.from_dict(found).verdict


# ---------------------------------------------------------------- one's own law


def test_ones_own_law_brings_its_draws_its_accuracy_and_its_range(own):
    folder, fit = own
    found = answer("plan", "--student", "20B", "--budget", "1e23", "--law", folder / "law.json")
    assert found["law"] == fit.law.to_dict()
    assert found["accuracy"] == fit.mean_error
    assert any(note.startswith("N_S = 2e+10 is outside 1.5e+08 to 7e+09") for note in found["warnings"])
    unsure = found["report"]["uncertainty"]
    assert (unsure["source"], unsure["draws"], unsure["readings"]) == ("draws", 15, {})


def test_without_draws_it_says_how_to_get_them(own):
    folder, fit = own
    found = answer(*BASIC, "--law", folder / "bare.json")
    assert "uncertainty" not in found["report"]
    notes = " ".join(found["report"]["notes"])
    assert "bare.json holds no draws, so no intervals: fit again with --bootstrap 400" in notes
    assert ("says of itself" in notes) == (not fit.status.startswith("trustworthy"))


def test_a_broken_law_is_named(own, fault, tmp_path):
    folder, _ = own
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert fault(*BASIC, "--law", broken)[1].startswith("distill-lib: broken.json is no JSON")
    status, line = fault(*BASIC, "--law", folder / "supervised.json")
    assert status == 1
    assert "supervised.json holds a supervised law, and a plan needs that of students too" in line
    content = json.loads((folder / "law.json").read_text())
    broken.write_text(json.dumps(content | {"fitted_range": {"N_S": [2, 1]}}))
    assert "fitted_range N_S = (2, 1) falls" in fault(*BASIC, "--law", broken)[1]
    assert "leave it out with --law" in fault(*BASIC, "--law", folder / "law.json", "--reading", "printed")[1]


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--student", "1B"], "nothing to plan for; give --budget, such as 1e22 or 64xH100x14d, or --target"),
        (["--student", "one", "--budget", "1e22"], "--student (N_S) = 'one' is no number of parameters"),
        (["--student", "1B", "--budget", "lots"], "--budget = 'lots' is no number of FLOPs"),
        (["--student", "1B", "--budget", "64xH900x2d"], "'H900' is no accelerator known here"),
        (["--student", "1B", "--budget", "64xH100"], "does not say for how long; type such as 64xH100x14d"),
        (["--student", "1B", "--budget", "8xH100x1d", "--gpus", "8xA100"], "leave out --gpus 8xA100"),
        (["--student", "1B", "--budget", "1e22", "--gpus", "8xA100x2d"], "type such as 64xH100"),
        (["--student", "1B", "--budget", "1e22", "--utilisation", "40"], "--utilisation = '40' is no share"),
        (["--student", "1B", "--budget", "1e22", "--tokens", "-3"], "max_D_S = -3.0 is out of range"),
        (["--student", "1B", "--budget", "1e12"], "C = 1000000000000.0 is too small to train anything"),
        (["--student", "1B", "--target", "low"], "--target low is no number; type a loss in nats per token"),
        (["--student", "1B", "--target", "1.5"], "target_loss = 1.5 is out of reach"),
        (["--student", "1B", "--target", "2.3", "--budget", "1e22"], "are two questions; give one of them"),
        (
            ["--student", "1B", "--budget", "1e22", "--students", "0"],
            "students_sharing = 0.0 is out of range",
        ),
        (["--student", "1B", "--budget", "1e22", "--level", "2"], "level = 2.0 is out of range"),
        (["--student", "1B", "--budget", "1e22", "--top-k", "0"], "top_k = 0 is out of range"),
        (["--student", "1B", "--budget", "1e22", "--teachers", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_fault_is_one_line_with_its_remedy(fault, arguments, words):
    status, line = fault("plan", *arguments)
    assert status == 1
    assert words in line


def test_a_table_of_nonsense_teachers_is_refused(fault, tmp_path):
    table = tmp_path / "teachers.csv"
    table.write_text("N_T,D_T,L_T\n7B,2T,11.5\n")
    line = fault(*BASIC, "--teachers", table)[1]
    assert "teachers[0] has L_T = 11.5, worse than guessing uniformly" in line
    table.write_text("L_T\n1.9\n")
    assert (
        "teachers[0] = 1.9 is a loss alone, but scenario 'teacher_inference' charges"
        in fault(*BASIC, "--teachers", table)[1]
    )
