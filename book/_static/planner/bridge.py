"""Between the page and the library: a request as JSON text in, an answer as JSON text out.

Runs under MicroPython in the page's worker, beside the library's own files. Numbers come as text with a mark
and go through float(), which reads them exactly, as json.loads does not; they leave by repr().
"""

import json
import math

from distill_lib.scaling import answers, formulas, law_files, robustness, sketches, sureness, wording
from distill_lib.scaling.hinges import along_draws, one_by_one

MARK = "\x01"  # before the digits of a number; no text that a person types has it


def numbers(value):
    """Return the value with its marked texts turned into floats."""
    if isinstance(value, str):
        return float(value[1:]) if value[:1] == MARK else value
    if isinstance(value, list):
        return [numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: numbers(item) for key, item in value.items()}
    return value


def told(value):
    """Return a value as JSON text; what is not finite becomes null."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return repr(value) if math.isfinite(value) else "null"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([told(item) for item in value]) + "]"
    return "{" + ",".join([json.dumps(key) + ":" + told(item) for key, item in value.items()]) + "}"


def plan(request):
    """Answer a question, with what else the page shows of the plan."""
    question, hardware = request["question"], request["hardware"]
    peak, devices, part = hardware["peak"], hardware["count"], hardware["utilisation"]
    if request["days"] is not None:
        question["C"] = formulas.device_flops(peak, devices, request["days"], part)
    found = answers.answer(question)
    vocabulary = int(question["vocabulary"])
    rows = {
        "all": formulas.logit_row_bytes(vocabulary, None, 2),
        "some": formulas.logit_row_bytes(vocabulary, 128, 2),
    }
    found["storage"] = {name: wording.readable_bytes(row * found["D_S"]) for name, row in rows.items()}
    found["words"] = words(found)
    per_day = formulas.device_flops(peak, devices, 1.0, part)
    # Serving the student is in the bill, but not on the machines that train it.
    for name, C in (("days", found["C"]), ("days_supervised", found["C_supervised"])):
        found[name] = (C - found["flops_inference"]) / per_day
    return found


def words(found):
    """Return the numbers of a plan as the library prints them."""
    told = {name: wording.count(found[name]) for name in ("N_S", "D_S", "N_T", "D_T", "D_supervised")}
    for name in ("L_S", "L_T", "L_supervised"):
        told[name] = wording.fixed(found[name], 4) if math.isfinite(found[name]) else "out of reach"
    for name in ("C", "C_supervised"):
        told[name] = wording.general(found[name], 3) if math.isfinite(found[name]) else "out of reach"
    return told


class Desk:
    """What stays in this worker between requests about one plan: other laws, the question, and what they answered."""

    def __init__(self):
        """Begin with nothing."""
        self.laws, self.question, self.kept, self.found = [], None, None, []


desk = Desk()


def keep(request):
    """Keep other laws, to ask them whatever comes."""
    desk.laws = request["laws"]
    return len(desk.laws)


def begin(request):
    """Begin to ask how sure a plan is."""
    desk.question, desk.found = request["question"], []
    desk.kept = answers.numbers(desk.question)


def sample(request):
    """Ask some of the laws kept; return how many were asked in all."""
    for law in desk.laws[int(request["first"]) : int(request["last"])]:
        desk.found.append(robustness.under_law(desk.question, law, desk.kept))
    return len(desk.found)


def hinges(request):
    """Return what the verdict hangs on, one coefficient at a time, and whether it survives both readings of B'."""
    rows = one_by_one(desk.question, desk.kept, request["moved"])
    readings = [
        (name, robustness.under_law(desk.question, law, desk.kept)) for name, law in request["readings"]
    ]
    return {
        "sensitivities": rows,
        "sensitivity": sureness.say_sensitivity(rows, True),
        "readings": sureness.say_readings(readings),
    }


def sure(request):
    """Return how far the plans under the laws lie apart, in numbers and in the library's words; None of too few."""
    point = robustness.under_law(desk.question, desk.question["law"], desk.kept)
    found = robustness.spread(desk.found, point)
    if found is None:
        return None
    found["settled"] = sureness.settled(found)
    found["verdict"], found["without_words"] = sureness.say_verdict(found), sureness.say_without(found)
    found["table"] = sureness.table(found)
    if not request["published"]:
        gaps = [math.nan if row is None else row["gap"] for row in desk.found]
        rows = along_draws(gaps, desk.laws)
        found["sensitivities"], found["sensitivity"] = rows, sureness.say_sensitivity(rows, False)
    return found


def bands(request):
    """Return bands of L_S and of the gain along compute under the laws kept, each plan left as it is."""
    question, found = request["question"], []
    for plan in sketches.plans_along_compute(question, request["budgets"]):
        edges = plan and sketches.band_of_draws(question["law"], plan, desk.laws)
        found.append(edges and [edges["L_S"], edges["advantage"]])
    return found


def curve(request):
    """Return (L_S, L_supervised) along compute for one scenario, and where supervised training overtakes."""
    question, budgets = request["question"], request["budgets"]
    plans = sketches.plans_along_compute(question, budgets)
    points = [None if found is None else [found["L_S"], found["L_supervised"]] for found in plans]
    return {"points": points, "crossing": sketches.crossing(question, budgets, plans)}


def gap(request):
    """Return losses along the loss of the teacher."""
    losses, L_T, L_S = sketches.losses_along_teacher(
        request["law"], request["N_S"], request["D_S"], request["teachers"]
    )
    return {"losses": losses, "best": [L_T, L_S]}


def law(request):
    """Read a saved law."""
    return law_files.read_law(request["content"], request["name"])


ACTIONS = {
    "plan": plan,
    "keep": keep,
    "begin": begin,
    "sample": sample,
    "hinges": hinges,
    "sure": sure,
    "bands": bands,
    "curve": curve,
    "gap": gap,
    "law": law,
}


def handle(text):
    """Answer one request; what is wrong with it comes back in words."""
    request = numbers(json.loads(text))
    try:
        return '{"result":' + told(ACTIONS[request["action"]](request)) + "}"
    except ValueError as error:
        return '{"problem":' + json.dumps(str(error)) + "}"
