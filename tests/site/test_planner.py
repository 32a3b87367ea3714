"""The page that plans: the library's numbers, every way to ask, every mistake named, for everyone and without a network."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_pages import PHONE, close, open_page

import distill_lib as dl
from distill_lib.scaling.accelerators import ACCELERATORS, UTILISATION
from distill_lib.scaling.law_draws import MEANING
from distill_lib.scaling.wording import count

pytestmark = pytest.mark.site

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "scaling"))
from planner_questions import FIELDS, LAWS, answer_of_the_library, printed, random_questions  # noqa: E402

PLANS = 600

ASK = """async (questions) => {
  const { Engine } = await import(new URL("../_static/planner/engine.js", location.href));
  const engine = new Engine();
  const hardware = { peak: 1e15, count: 8, utilisation: 0.4 };
  const answers = [];
  for (const question of questions) answers.push(await engine.ask({ action: "plan", question, days: null, hardware }));
  engine.worker.terminate();
  return answers;
}"""


@pytest.fixture
def planner(browser, site_url):
    """Open the page, optionally at a shared question, and wait for its first answer."""
    opened = []

    def visit(question="", **settings):
        page = open_page(browser, f"{site_url}/book/plan.html{question}", **settings)
        opened.append(page)
        page.wait_for_selector("#planner[data-ready]", timeout=20_000)
        return page

    yield visit
    for page in opened:
        assert page.complaints == []
        close(page)


def words(plan):
    """Return the numbers of a plan as the library's tables print them."""
    found = {name: math.nan if plan[name] is None else plan[name] for name in FIELDS}
    if plan["goal"] == "target" and plan["D_supervised"] is None:
        found["D_supervised"] = found["C_supervised"] = math.inf
    told = {name: count(found[name]) for name in ("N_S", "D_S", "N_T", "D_T", "D_supervised")}
    losses = {name: f"{found[name]:.4f}" for name in ("L_S", "L_T", "L_supervised")}
    costs = {name: f"{found[name]:.3g}" for name in ("C", "C_supervised")}
    return told | {
        name: text.replace("nan", "out of reach").replace("inf", "out of reach")
        for name, text in (losses | costs).items()
    }


def verdict(page):
    return page.text_content(".pl-verdict")


def settled(page):
    """Wait until the other laws have been asked."""
    page.wait_for_selector(".pl-robust[aria-busy=false]:not([hidden])", timeout=60_000)


def wait_for_another(page, before):
    page.wait_for_function(
        "before => document.querySelector('.pl-verdict').textContent !== before", arg=before
    )


def type_into(page, name, text):
    before = verdict(page)
    page.fill(f"#pl-{name}", text)
    wait_for_another(page, before)


def problem(page, name):
    """Return the message by a field, once there is one, which the field also refers to."""
    page.wait_for_function(f"document.getElementById('pl-{name}-problem').textContent !== ''")
    return page.text_content(f"#pl-{name}-problem")


def test_plans_are_the_librarys_to_the_last_printed_digit(planner):
    pairs = random_questions(PLANS, seed=5)
    told = planner().evaluate(ASK, [question for question, _ in pairs])
    exact = 0
    for (question, arguments), there in zip(pairs, told, strict=True):
        here = answer_of_the_library(arguments)
        got = there.get("result") or there["problem"]
        if isinstance(here, dict):
            numbers = [name for name, value in here.items() if isinstance(value, float) and name in got]
            exact += all(got[name] == here[name] for name in numbers)
        assert printed(got) == printed(here), question
        if isinstance(here, dict):
            assert got["words"] == words(here), question
    print(
        f"{len(pairs)} plans identical as printed, {exact} of {sum('result' in t for t in told)} in every bit"
    )


def test_the_first_answer_is_the_librarys_and_said_aloud(planner):
    page = planner()
    assert (
        verdict(page) == answer_of_the_library({"N_S": 1e9, "C": 1e21, "law": LAWS["reconciled"]})["verdict"]
    )
    assert verdict(page).startswith("Too close to call")
    assert page.text_content(".pl-verdict strong") == "Too close to call"
    assert "right to 1 % of a loss, 0.022 nats here" in page.text_content(".pl-accuracy")
    page.wait_for_function("document.querySelector('.pl-live').textContent.startsWith('Too close')")
    assert page.get_attribute(".pl-live", "aria-live") == "polite"
    assert page.is_hidden("#planner-without")


def test_how_long_an_answer_takes(planner):
    """Speed depends on the machine: it is printed, and only that each move was answered is required."""
    page = planner()
    first = page.evaluate("performance.getEntriesByName('planner: first answer')[0].startTime")
    page.wait_for_timeout(2000)
    times = page.evaluate(
        """async () => {
          const root = document.getElementById("planner"), slider = document.querySelector("[data-field=C] input[type=range]");
          const times = [];
          for (let step = 200; step < 700; step += 25) {
            const before = document.querySelector(".pl-compare").textContent;
            const begun = performance.now();
            slider.value = step;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            while (document.querySelector(".pl-compare").textContent === before) await new Promise((done) => setTimeout(done, 1));
            times.push(performance.now() - begun);
            await new Promise((done) => setTimeout(done, 60));
          }
          return times.sort((a, b) => a - b);
        }"""
    )
    assert len(times) == 20
    print(f"the first answer stands {first:.0f} ms after the page was asked for")
    print(f"a slider's move is answered in {times[10]:.0f} ms (median), {times[-1]:.0f} ms at the most")


def test_the_accuracy_settles_what_is_close(planner):
    page = planner("#accuracy=0.1%25")
    expected = answer_of_the_library({"N_S": 1e9, "C": 1e21, "law": LAWS["reconciled"], "accuracy": 0.001})
    assert verdict(page) == expected["verdict"]
    assert page.text_content(".pl-verdict strong") == "Distil"
    type_into(page, "accuracy", "3 %")
    wide = 0.03 * expected["L_S"]
    assert f"right to 3 % of a loss, {wide:.3f} nats here" in page.text_content(".pl-accuracy")
    type_into(page, "accuracy", "")
    assert verdict(page).startswith("Too close to call")
    assert page.get_attribute("#pl-accuracy", "placeholder") == "1 %"


def test_the_devices_are_those_of_the_command_line(planner):
    page = planner()
    page.evaluate("document.querySelectorAll('.pl-form details').forEach((d) => { d.open = true; })")
    names = page.evaluate("[...document.getElementById('pl-device').options].map((o) => o.text)")
    assert names == [kind.name for kind in ACCELERATORS.values()] + ["Another"]
    assert page.input_value("#pl-device") == "H100"
    assert page.input_value("#pl-utilisation") == f"{100 * UTILISATION:g} %"
    for kind in ACCELERATORS.values():
        page.select_option("#pl-device", kind.name)
        assert float(page.input_value("#pl-peak")) == kind.peak
        assert kind.source.rpartition("https://")[2] in page.text_content("#pl-device-source")
    page.fill("#pl-peak", "1e15")
    assert page.input_value("#pl-device") == ""


def test_charts_appear_and_move_with_the_question(planner):
    page = planner()
    page.wait_for_function("document.querySelectorAll('#pl-chart-compute .pl-curve').length === 5")
    place = "document.querySelector('#pl-chart-compute .pl-plan').getAttribute('cx')"
    before = page.evaluate(place)
    page.wait_for_selector("#pl-chart-compute .pl-band")
    assert "supervised from" in page.text_content("#pl-chart-compute")
    settled(page)
    assert "narrower than such runs allow" in page.text_content(".pl-sure-meaning")
    type_into(page, "C", "4e21")
    page.wait_for_function(f"{place} !== '{before}'")
    assert page.get_attribute("#pl-chart-teacher", "aria-label").startswith("Student loss along the teacher")
    page.check("#pl-gain")
    page.wait_for_function(
        "document.querySelector('#pl-chart-compute').textContent.includes('gain over supervised')"
    )


QUESTIONS = [
    "",
    "#N_S=3B&C=2e22&scenario=teacher_pretraining_inference&students_sharing=20&inference_tokens=1T",
    "#goal=target_loss&target_loss=2.25&reading=printed",
    "#goal=days&days=30&count=512&price=2.5&peak=3.12e14&inference_tokens=1e12",
    "#goal=D_S&D_S=5e10&scenario=best_case&teachers=__2.05~3e9_1e11_",
    "#goal=C&max_D_S=2e10&N_S=4e8",
    "#C=3e22&N_S=3e9&scenario=teacher_pretraining&max_D_T=1e11",
    "#goal=target_loss&target_loss=2.35&scenario=best_case&max_D_S=15e9&accuracy=0.2%25",
]
MORE_QUESTIONS = [
    "#scenario=best_case&teachers=__2.05~__1.98&accuracy=1e-5",
    "#teachers=3e9_1e11_~5e8_2e11_2.3&utilisation=0.35&count=8&students_sharing=4",
]


def copied(page, button, what):
    """Press a button that copies, and return what it copied."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click(f"text={button}")
    page.wait_for_function(f"document.querySelector('.pl-done').textContent === '{what} copied.'")
    return page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_shared_link_restores_the_question(planner, question):
    page = planner(question)
    link = copied(page, "Copy link", "Link")
    again = planner(link.partition("plan.html")[2])
    for part in (".pl-verdict", ".pl-compare", ".pl-legend"):
        assert again.text_content(part) == page.text_content(part)
    state = "[...document.querySelectorAll('.pl-form input:not([type=file])')].map(i => i.type === 'radio' ? i.checked : i.value)"
    assert again.evaluate(state) == page.evaluate(state)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_python_call_gives_the_same_plan(planner, question, capsys):
    page = planner(question)
    call = copied(page, "Copy Python", "Call")
    scope: dict = {}
    exec(call, scope)
    assert scope["plan"].verdict == verdict(page)
    assert f"{scope['plan'].L_S:.4f}" in page.text_content(".pl-compare")
    assert str(scope["plan"]) in capsys.readouterr().out


def run(command, folder):
    """Run what was copied for a shell, with its answer as JSON and without intervals."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    asked = f"{command.rstrip()} --draws 0 --json"
    done = subprocess.run(
        ["sh", "-c", asked],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("question", [q for q in QUESTIONS if "goal=D_S" not in q] + MORE_QUESTIONS)
def test_the_command_gives_the_same_plan(planner, question, tmp_path):
    page = planner(question)
    found = run(copied(page, "Copy command", "Command"), tmp_path)
    assert found["verdict"] == verdict(page)
    table = page.text_content(".pl-compare")
    assert f"{found['L_S']:.4f}" in table
    cost = found["report"]["cost"]["days"]
    shown = f"{24 * cost:.3g} hours" if cost < 2 else f"{cost:.3g} days" if cost < 1000 else None
    assert shown is None or f"Training on the hardware{shown}" in table


@pytest.mark.parametrize(
    "question", [q for q in QUESTIONS if "goal=D_S" not in q] + ["#goal=target_loss&target_loss=2.1&N_S=3e9"]
)
def test_page_and_command_are_equally_sure(planner, question, tmp_path):
    """Every sentence and every interval of the page is one that the command prints."""
    page = planner(question)
    settled(page)
    command = copied(page, "Copy command", "Command").rstrip()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for part in ("verdict", "sensitivity", "readings"):
        assert page.text_content(f".pl-sure-{part}") in lines
    assert page.text_content(".pl-sure-verdict").count(" of 400 draws") == 1
    assert page.text_content(".pl-sure-meaning").endswith(MEANING)
    assert MEANING in lines
    table = page.evaluate(
        "[...document.querySelectorAll('.pl-intervals tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    printed_rows = {re.sub(r"\s{2,}", "|", line.strip()) for line in lines}
    assert len(table) > 4
    for row in table:
        assert "|".join(cell for cell in row if cell) in printed_rows, row


def test_a_verdict_that_is_no_longer_asked_for_is_not_read_out(planner):
    """A moving slider starts nothing, and what is known is said politely, once."""
    page = planner()
    settled(page)
    page.evaluate(
        """() => {
          window.said = [];
          new MutationObserver(() => said.push(document.querySelector('.pl-live').textContent)).observe(
            document.querySelector('.pl-live'), { childList: true, characterData: true, subtree: true });
        }"""
    )
    page.focus("#pl-C")
    page.keyboard.press("Tab")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(60)
    assert page.get_attribute(".pl-robust", "aria-busy") == "true"
    assert page.text_content(".pl-sure-verdict").startswith("Asking 400 laws")
    assert not page.is_visible(".pl-sure-readings")
    settled(page)
    page.wait_for_timeout(900)
    said = page.evaluate("said")
    assert 1 <= len(said) <= 2, said
    assert said[-1].startswith(page.text_content(".pl-sure-verdict"))
    assert said[-1].endswith(page.text_content(".pl-sure-readings"))


def test_where_no_other_law_has_an_answer_it_says_so(planner):
    page = planner("#goal=target_loss&target_loss=2.3")
    law = saved_law()["law"]
    offer(page, saved_law(draws=[{**law, "supervised": {**law["supervised"], "E": 3.0}}] * 3))
    page.wait_for_function("document.querySelector('.pl-sure-verdict').textContent.startsWith('Hardly any')")
    settled(page)
    assert not page.is_visible(".pl-intervals")
    assert "uncertainty" not in copied(page, "Copy Python", "Call")


@pytest.mark.parametrize("question", ["#goal=D_S&D_S=5e10", "#scenario=best_case&teachers=__2.05~3e9_1e11_"])
def test_what_the_command_line_cannot_ask_is_not_offered(planner, question):
    page = planner(question)
    assert page.is_hidden("text=Copy command")
    assert page.is_visible("text=Copy Python")


def test_a_damaged_link_is_named_and_harmless(planner):
    page = planner("#N_S=many&scenario=free&goal=C&C=3e21&teachers=1_2_3_4")
    assert page.input_value("#pl-N_S") == "1B"
    assert page.input_value("#pl-C") == "3e21"
    assert "scenario, N_S, teachers" in page.text_content(".pl-done")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("N_S", "big", "“big” is no number; give 1M to 100T, such as 1.5B."),
        ("N_S", "5", "5 is out of range; give 1M to 100T, such as 1.5B."),
        ("C", "-1e21", "is out of range; give 1e12 to 1e32, such as 1e21."),
        ("C", "", "“” is no number"),
        ("C", "1e13", "C = 10000000000000.0 is too small to train anything"),
        ("students_sharing", "1.5", "Give a whole number"),
        ("utilisation", "140 %", "is out of range; give 0.1 % to 100 %"),
        ("max_D_S", "12", "is out of range; give 1M to 100P"),
    ],
)
def test_a_wrong_field_is_named_beside_it(planner, name, text, message):
    page = planner()
    page.evaluate("document.querySelectorAll('.pl-form details').forEach((d) => { d.open = true; })")
    before = verdict(page)
    start = page.input_value(f"#pl-{name}")
    page.fill(f"#pl-{name}", text)
    assert message in problem(page, name)
    assert page.get_attribute(f"#pl-{name}", "aria-invalid") == "true"
    assert f"pl-{name}-problem" in page.get_attribute(f"#pl-{name}", "aria-describedby")
    assert verdict(page) != before
    page.fill(f"#pl-{name}", start)
    page.wait_for_function(
        "before => document.querySelector('.pl-verdict').textContent === before", arg=before
    )
    assert page.text_content(f"#pl-{name}-problem") == ""


def test_a_loss_out_of_reach_is_named_beside_it(planner):
    page = planner("#goal=target_loss&target_loss=2.3")
    page.fill("#pl-target_loss", "1.3")
    assert "target_loss = 1.3 is out of reach" in problem(page, "target_loss")


def test_the_best_of_several_teachers_is_named(planner):
    teachers = [(3e9, 1e11), (5e8, 2e11, 2.3), (1e9, 3e11, 2.1)]
    page = planner("#teachers=3e9_1e11_~5e8_2e11_2.3~1e9_3e11_2.1")
    found = dl.plan(1e9, 1e21, teachers=teachers)
    assert verdict(page) == found.verdict
    assert f"Best of yoursteacher {found.teacher + 1} of 3" in page.text_content(".pl-compare")


def test_teachers_are_checked_one_by_one(planner):
    page = planner()
    page.check("input[name=pl-given][value=given]", force=True)
    assert len(page.query_selector_all(".pl-teachers tbody tr")) == 1
    cell = "[aria-label='Teacher 1, {}']"
    page.fill(cell.format("Loss L_T"), "50")
    assert "worse than guessing uniformly" in problem(page, "teachers")
    page.fill(cell.format("Loss L_T"), "low")
    page.wait_for_function(
        "document.getElementById('pl-teachers-problem').textContent.includes('“low” is no number')"
    )
    page.fill(cell.format("Loss L_T"), "2.0")
    page.fill(cell.format("Tokens D_T"), "")
    page.wait_for_function(
        "document.getElementById('pl-teachers-problem').textContent.includes('teachers[0] lacks D_T')"
    )
    page.fill(cell.format("Size N_T"), "")
    page.wait_for_function(
        "document.getElementById('pl-teachers-problem').textContent.includes('is a loss alone')"
    )
    page.check("input[name=pl-scenario][value=best_case]")
    page.wait_for_function("document.getElementById('pl-teachers-problem').textContent === ''")
    assert "2.0000" in page.text_content(".pl-compare")
    page.click("[aria-label='Remove teacher 1']")
    assert "The table is empty" in problem(page, "teachers")
    assert page.evaluate("document.activeElement.textContent") == "Add a teacher"


def saved_law(**changes):
    law = LAWS["reconciled"].to_dict()
    draws = [{**law, "A": law["A"] * (0.9 + 0.01 * i)} for i in range(21)]
    content = {
        "format": "distill-lib law 1", "kind": "distillation", "law": {**law, "c0": 2.4},
        "fitted_range": {"N_S": [1e6, 1e8], "D_S": [1e8, 1e12]}, "draws": draws,
    }  # fmt: skip
    return {**content, **changes}


def offer(page, content, name="mine.json"):
    page.evaluate("document.querySelectorAll('.pl-form details').forEach((d) => { d.open = true; })")
    text = content if isinstance(content, str) else json.dumps(content)
    page.set_input_files("#pl-law", {"name": name, "mimeType": "application/json", "buffer": text.encode()})


def test_a_law_of_ones_own_is_planned_with(planner, tmp_path, monkeypatch, capsys):
    page = planner()
    before = verdict(page)
    content = saved_law(mean_error=0.002)
    offer(page, content)
    wait_for_another(page, before)
    law, *draws = (type(LAWS["printed"]).from_dict(each) for each in (content["law"], *content["draws"]))
    expected = dl.plan(1e9, 1e21, law=law, accuracy=0.002, fitted_range=content["fitted_range"])
    assert verdict(page) == expected.verdict
    assert "right to 0.2 % of a loss" in page.text_content(".pl-accuracy")
    page.wait_for_function("document.querySelector('.pl-sure-verdict').textContent.includes('of 21 draws')")
    unsure = expected.uncertainty(draws)
    low, high = unsure.intervals["L_S"][1:]
    assert page.text_content(".pl-sure-verdict") == unsure.verdict
    assert page.text_content(".pl-sure-sensitivity") == unsure.sensitivity
    assert page.text_content(".pl-sure-losses").endswith(f"{low:.4f} to {high:.4f}.")
    assert page.text_content(".pl-sure-meaning") == unsure.meaning
    assert page.text_content(".pl-sure-readings") == ""
    assert "not its 21 resamples" in page.text_content("#pl-link-note")
    assert page.is_visible("#pl-link-note")
    (tmp_path / "mine.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    exec(copied(page, "Copy Python", "Call"), {})
    assert capsys.readouterr().out == f"{expected}\n{unsure}\n"
    assert run(copied(page, "Copy command", "Command"), tmp_path)["verdict"] == expected.verdict
    assert "N_S = 1e+09 is outside 1e+06 to 1e+08" in page.text_content(".pl-outside")
    again = planner(
        "#" + page.evaluate("new Promise((d) => setTimeout(() => d(location.hash), 600))").lstrip("#")
    )
    assert verdict(again) == verdict(page)
    assert again.is_checked("input[name=pl-reading][value=file]")
    assert "mine.json without its 21 resamples" in again.text_content(".pl-sure-verdict")
    assert again.is_hidden("#pl-link-note")
    assert again.is_hidden(".pl-intervals")
    assert copied(again, "Copy Python", "Call").endswith("print(plan.uncertainty(fit.draws))\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{half", "mine.json is no JSON"),
        ({"A": 1}, "mine.json is no saved law"),
        (saved_law(kind="supervised"), "holds a supervised law"),
        (saved_law(law={"A": 1.0}), "holds no law: B = None"),
    ],
)
def test_a_broken_law_file_is_named(planner, content, message):
    page = planner()
    before = verdict(page)
    offer(page, content)
    assert message in problem(page, "law")
    assert verdict(page) == before


def test_it_answers_with_the_network_cut(planner):
    page = planner()
    page.wait_for_function("document.querySelectorAll('#pl-chart-compute .pl-curve').length === 5")
    page.context.set_offline(True)
    type_into(page, "N_S", "3B")
    page.wait_for_function("document.querySelector('#pl-chart-compute') !== null")
    assert (
        verdict(page) == answer_of_the_library({"N_S": 3e9, "C": 1e21, "law": LAWS["reconciled"]})["verdict"]
    )


def test_without_javascript_there_are_plans_and_a_command(browser, site_url):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site_url}/book/plan.html")
    assert page.is_visible("#planner-without")
    assert not page.is_visible("#planner")
    assert len(page.query_selector_all("article table tbody tr")) >= 12
    assert "distill-lib plan --student" in page.text_content("article")
    context.close()


def test_without_webassembly_it_says_so(browser, site_url):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(f"{site_url}/book/plan.html", wait_until="networkidle")
    assert page.is_visible("#planner-without")
    assert not page.is_visible("#planner")
    context.close()


def test_the_keyboard_suffices(planner):
    page = planner()
    page.focus("#pl-N_S")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    before = verdict(page)
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    wait_for_another(page, before)
    assert page.input_value("#pl-N_S") != "1B"
    assert "parameters" in page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # from Compute to Hardware
    assert page.is_visible("#pl-days")
    assert not page.is_visible("#pl-C")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("(document.activeElement.id || document.activeElement.textContent || '').trim()")
        )
    assert {"pl-days", "Hardware and price", "The law", "Copy link", "Download PNG", "pl-gain"} <= reached
    outline = page.evaluate(
        "() => { const b = [...document.querySelectorAll('.pl-button')].at(-1); b.focus({ focusVisible: true }); return getComputedStyle(b).outlineStyle; }"
    )
    assert outline == "solid"


def test_a_plan_can_be_taken_along(planner):
    page = planner()
    page.wait_for_function("document.querySelectorAll('.pl-chart > svg').length === 2")
    settled(page)
    with page.expect_download() as got:
        page.click("text=Download JSON")
    saved = json.loads(Path(got.value.path()).read_text())
    here = answer_of_the_library({"N_S": 1e9, "C": 1e21, "law": LAWS["reconciled"]})
    assert saved["plan"]["verdict"] == here["verdict"]
    assert saved["question"]["law"]["B"] == LAWS["reconciled"].B
    value, low, high = saved["uncertainty"]["intervals"]["L_S"]
    assert low < value == here["L_S"] < high
    assert saved["uncertainty"]["verdict"] == dl.plan(1e9, 1e21).uncertainty().verdict
    with page.expect_download() as got:
        page.click("text=Download PNG")
    picture = Path(got.value.path()).read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(picture[16:20], "big") > 800
    assert len(picture) > 20_000


def test_nothing_spills_over_on_a_phone(planner):
    page = planner("#teachers=3e9_1e11_", viewport=PHONE)
    page.evaluate("document.querySelectorAll('.pl-form details').forEach((d) => { d.open = true; })")
    page.fill("[aria-label='Teacher 1, Loss L_T']", "50")
    problem(page, "teachers")
    page.wait_for_function("document.querySelector('#pl-chart-compute') !== null")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    small = page.evaluate(
        "[...document.querySelectorAll('.pl-form button, .pl-actions button, .pl-form input[type=text]')].filter(e => e.offsetHeight && e.offsetHeight < 24).length"
    )
    assert small == 0


def test_on_a_phone_the_answer_stays_in_sight_of_the_question(planner):
    page = planner(viewport=PHONE)
    seen = """() => {
      const box = document.querySelector('.pl-brief').getBoundingClientRect();
      return box.top >= 0 && box.bottom <= window.innerHeight && document.elementFromPoint(box.left + 20, box.top + 10).closest('.pl-brief') !== null;
    }"""
    page.evaluate("document.getElementById('pl-C').scrollIntoView({ block: 'center' })")
    assert page.evaluate(seen)
    assert page.text_content(".pl-brief").startswith("Too close to call 2.2")
    type_into(page, "C", "1e23")
    assert page.text_content(".pl-brief strong") == page.text_content(".pl-verdict strong")
    page.fill("#pl-C", "1")
    page.wait_for_function("document.querySelector('.pl-brief strong').textContent === 'No plan'")
    page.fill("#pl-C", "1e21")
    for _ in range(40):  # by the keyboard: it follows the question
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "pl-brief":
            break
        hidden = """() => {
          const field = document.activeElement.getBoundingClientRect();
          return field.top > document.querySelector('.pl-brief').getBoundingClientRect().top;
        }"""
        assert not page.evaluate(hidden), page.evaluate("document.activeElement.outerHTML")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.pl-card').getBoundingClientRect().top < 200")
    assert page.evaluate("document.activeElement.className") == "pl-card"


def test_at_a_desk_nothing_is_said_twice(planner):
    assert planner().is_hidden(".pl-brief")


def test_python_starts_with_the_page_and_nothing_is_fetched_twice(browser, site_url):
    page = browser.new_context().new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url.split("?")[0].rpartition("/")[2]))
    page.goto(f"{site_url}/book/plan.html", wait_until="networkidle")
    page.wait_for_selector("#planner[data-ready]")
    own = {path.name for path in (ROOT / "book" / "_static" / "planner").glob("*.js")} - {"worker.js"}
    assert asked.count("laws.json") <= 1
    # Each of the two workers has its own; a browser keeps them for the second.
    often = {"worker.js": 2, "micropython.mjs": 2, "micropython.wasm": 2, "library.json": 2}
    for name in {*own, "published.json", *often}:
        assert 1 <= asked.count(name) <= often.get(name, 1), name
    assert page.evaluate("window.plannerWorker instanceof Worker")
    assert asked.count("worker.js") == 2  # the one of the head was taken over
    assert max(asked.index(name) for name in own) < asked.index("library.json")  # none is found out late
    page.context.close()


@pytest.fixture(scope="module")
def axe():
    spec = importlib.util.spec_from_file_location("assets", ROOT / ".ci" / "assets.py")
    assets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(assets)
    try:
        return (assets.fetched() / assets.AXE / "axe.min.js").read_text()
    except assets.NoAssets as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "question", ["", "#goal=days&teachers=3e9_1e11_&C=1e21", "#goal=target_loss&target_loss=1.3"]
)
def test_no_serious_barrier_is_found(planner, axe, scheme, question):
    if "1.3" in question:  # a question that is refused
        page = planner("#goal=target_loss&target_loss=2.3", scheme=scheme)
        page.fill("#pl-target_loss", "1.3")
        problem(page, "target_loss")
    else:
        page = planner(question, scheme=scheme)
        page.wait_for_function("document.querySelectorAll('#pl-chart-compute .pl-curve').length === 5")
    page.evaluate("document.querySelectorAll('.pl-form details').forEach((d) => { d.open = true; })")
    page.evaluate(axe)
    found = page.evaluate("axe.run('#planner')")["violations"]
    serious = [
        f"{v['id']}: {v['help']}: " + re.sub(r"\s+", " ", v["nodes"][0]["html"])[:160]
        for v in found
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == []
