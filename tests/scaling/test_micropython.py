"""The library's own files under MicroPython, as the page that plans runs them: the same numbers as here."""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from planner_questions import random_questions

from distill_lib.scaling import formulas
from distill_lib.scaling.law_draws import draw_published_laws
from distill_lib.scaling.laws import READINGS, published_law
from distill_lib.scaling.sensitivity import moved_laws
from distill_lib.scaling.wording import count

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import fs from "node:fs";
const [, , micropython, program] = process.argv;
const { loadMicroPython } = await import(micropython);
const python = await loadMicroPython({ heapsize: 32 << 20, pystack: 64 << 10, stdout: (line) => console.log(line) });
for (const folder of ["/distill_lib", "/distill_lib/scaling"]) {
  python.FS.mkdir(folder);
  python.FS.writeFile(folder + "/__init__.py", "");
}
for (const name of ["formulas", "wording", "verdicts", "answers", "law_files", "robustness", "hinges", "sureness", "sketches"]) {
  python.FS.writeFile(`/distill_lib/scaling/${name}.py`, fs.readFileSync(`distill_lib/scaling/${name}.py`));
}
python.runPython("import sys\\nsys.path.append('/')\\n" + fs.readFileSync(program, "utf8"));
"""


@pytest.fixture(scope="module")
def micropython(tmp_path_factory):
    """Run a program under the very MicroPython that the site serves, and return what it prints."""
    spec = importlib.util.spec_from_file_location("assets", ROOT / ".ci" / "assets.py")
    assets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(assets)
    try:
        module = assets.fetched() / assets.MICROPYTHON / "micropython.mjs"
        node = assets.node()
    except assets.NoAssets as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("micropython")
    (folder / "run.mjs").write_text(SCRIPT)

    def run(program):
        (folder / "program.py").write_text(program)
        command = [*node, str(folder / "run.mjs"), module.as_uri(), str(folder / "program.py")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


def test_plans_are_the_same_to_the_last_bits(micropython):
    rng = np.random.default_rng(0)
    asked = [
        (float(10 ** rng.uniform(7, 12)), float(10 ** rng.uniform(19, 26)), deltas, target)
        for deltas in formulas.SCENARIOS.values()
        for target in (None, 2.4)
        for _ in range(25)
    ]
    law = published_law().to_dict()
    program = f"""
from distill_lib.scaling import formulas
law = {law!r}
for N_S, C, deltas, target in {asked!r}:
    found = formulas.plan_student(N_S, C, law, deltas, target_loss=target)
    print([repr(found[name]) for name in ("L_S", "D_S", "N_T", "D_T", "L_T", "C")], found["feasible"])
"""
    same = 0
    for (N_S, C, deltas, target), line in zip(asked, micropython(program).splitlines(), strict=True):
        here = formulas.plan_student(N_S, C, law, deltas, target_loss=target)
        listed, feasible = line.rsplit("] ", 1)
        there = [float(text.strip(" '")) for text in listed.strip("[").split(",")]
        assert feasible == str(bool(here["feasible"]))
        mine = [here[name] for name in ("L_S", "D_S", "N_T", "D_T", "L_T", "C")]
        same += there == mine
        assert there == pytest.approx(mine, rel=1e-9)
    print(f"{same} of {len(asked)} plans are bit-identical")


def test_how_sure_a_plan_is_reads_the_same(micropython):
    """Intervals, shares, sensitivities and both readings, for the published law and for draws: in the same words."""
    laws = [law.to_dict() for law in draw_published_laws(40)]
    moved = [(name, low.to_dict(), high.to_dict()) for name, low, high in moved_laws("reconciled")]
    readings = [(name, published_law(name).to_dict()) for name in READINGS]
    questions = [question for question, _ in random_questions(40, seed=8)]
    body = f"""
from distill_lib.scaling import answers, hinges, robustness, sureness
inf = float("inf")
for question in {questions!r}:
    try:
        kept = answers.numbers(question)
    except ValueError:
        continue
    rows = [robustness.under_law(question, law, kept) for law in {laws!r}]
    found = robustness.spread(rows, robustness.under_law(question, question["law"], kept))
    if found is None:
        print("too few")
        continue
    alone = hinges.one_by_one(question, kept, {moved!r})
    gaps = [float("nan") if row is None else row["gap"] for row in rows]
    along = hinges.along_draws(gaps, {laws!r})
    both = [(name, robustness.under_law(question, law, kept)) for name, law in {readings!r}]
    print(sureness.say_verdict(found), sureness.say_without(found), sureness.say_readings(both))
    print(sureness.say_sensitivity(alone, True), sureness.say_sensitivity(along, False))
    print(sureness.table(found))
"""
    told = micropython(body)
    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(body, {})
    assert told == here.getvalue()
    assert told.count("Most depends on") > 20


def test_numbers_pass_unchanged_through_the_bridge(micropython):
    rng = np.random.default_rng(1)
    values = [float(np.exp(x)) for x in rng.uniform(-60, 60, 2000)] + [1e21, 2e10, 0.1, 5e-324, 1.7e308]
    text = json.dumps({"values": ["\x01" + repr(value) for value in values], "words": "a\x02 é"})
    bridge = (ROOT / "book" / "_static" / "planner" / "bridge.py").read_text()
    told = micropython(f"{bridge}\nprint(told(numbers(json.loads({text!r}))))")
    assert json.loads(told) == {"values": values, "words": "a\x02 é"}


def test_numbers_are_written_alike(micropython):
    rng = np.random.default_rng(2)
    values = [float(np.exp(x)) for x in rng.uniform(-30, 60, 300)] + [
        6.825e12,
        1.125,
        0.0625,
        2.5,
        9.9995,
        1e22,
    ]
    told = micropython(f"""
from distill_lib.scaling.wording import count, exact, fixed, general
for value in {values!r}:
    print(general(value, 3), general(value, 6), fixed(value, 3), fixed(value, 0), count(value), exact(value))
""")
    for value, line in zip(values, told.splitlines(), strict=True):
        assert line == f"{value:.3g} {value:.6g} {value:.3f} {value:.0f} {count(value)} {value!r}"
