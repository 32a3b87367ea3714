"""Between the page and the library: a request as JSON text in, an answer as JSON text out.

Runs under MicroPython in the page's worker, beside the library's own files. Numbers come as text with a mark
and go through float(), which reads them exactly, as json.loads does not; they leave by repr().
"""

import json
import math

from distill_lib.scaling import answers, formulas, law_files, sketches, wording

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


def band(request):
    """Return how sure the plan is."""
    plan = {key: math.nan if value is None else value for key, value in request["plan"].items()}
    return spread(request, plan)


def spread(request, plan):
    """Return the bands of a plan from resamples where there are some, else from intervals, else None."""
    measured, edges = request["measured"], None
    unmatched = not plan["D_supervised"] >= 1.0  # no supervised student gets there
    if unmatched:
        plan = dict(plan)
        plan["D_supervised"] = plan["D_S"]
    if request["draws"]:
        edges = sketches.band_of_draws(request["draws"], plan, measured)
    elif request["intervals"]:
        edges = sketches.band_of_intervals(request["question"]["law"], request["intervals"], plan, measured)
    return {"L_S": edges["L_S"]} if edges and unmatched else edges


def sample(request):
    """Ask some resamples the question: L_S and gap as text, which also tells infinity, and the outcome."""
    found = sketches.plans_under(request["question"], request["draws"])
    return [None if each is None else [repr(each[0]), repr(each[1]), each[2]] for each in found]


def spread_of_samples(request):
    """Return how far apart the plans under the resamples lie; an end that is infinite becomes None."""
    found = [each and (float(each[0]), float(each[1]), each[2]) for each in request["found"]]
    return sketches.spread_of_plans(found, request["outcome"])


def curve(request):
    """Return (L_S, L_supervised, bands of L_S and of the gain) along compute for one scenario, and where supervised training overtakes."""
    question, budgets = request["question"], request["budgets"]
    plans = sketches.plans_along_compute(question, budgets)
    points = []
    for found in plans:
        if found is None:
            points.append(None)
            continue
        edges = spread(request, found) if request["banded"] else None
        both = [edges["L_S"], edges.get("advantage")] if edges else [None, None]
        points.append([found["L_S"], found["L_supervised"], both[0], both[1]])
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
    "band": band,
    "sample": sample,
    "spread": spread_of_samples,
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
