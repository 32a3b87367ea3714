"""Random questions as the planner's page asks them, and what the library answers to the same."""

import math

import numpy as np

import distill_lib as dl
from distill_lib import paper
from distill_lib.scaling import formulas

LAWS = {reading: dl.published_law(reading) for reading in ("reconciled", "printed")}
RANGES = {name: list(ends) for name, ends in paper.fitted_ranges().items()}

QUESTION = {
    "N_S": 1e9, "C": 1e21, "target_loss": None, "D_S": None, "max_D_S": None, "max_D_T": None, "deltas": None,
    "scenario": "teacher_inference", "teachers": None, "students_sharing": 1.0, "inference_tokens": 0.0,
    "context": formulas.CONTEXT, "vocabulary": formulas.VOCABULARY, "ranges": RANGES, "accuracy": paper.law_accuracy(),
    "law": LAWS["reconciled"].to_dict(),
}  # fmt: skip
"""A usual question, as the page's files take it."""


def random_questions(many, seed):
    """Questions of every kind: budgets, targets and tokens, designed and given teachers, both readings, accuracies.

    Returns pairs of the question as the page's files take it, and the arguments of ``dl.plan``.
    """
    rng = np.random.default_rng(seed)
    scenarios = list(formulas.SCENARIOS)

    def power(low, high):
        return float(f"{10 ** rng.uniform(low, high):.4g}")

    pairs = []
    for i in range(many):
        reading, scenario = ("reconciled", "printed")[i % 5 == 4], scenarios[i % 4]
        goal = ("C", "C", "target_loss", "D_S")[int(rng.integers(4))]
        arguments = {"N_S": power(7, 12), "scenario": scenario}
        if goal == "target_loss":
            arguments[goal] = float(f"{rng.uniform(1.9, 3.2):.3f}")
        else:
            arguments[goal] = power(17, 27) if goal == "C" else power(8, 14)
        if goal != "D_S" and rng.random() < 0.3:
            arguments["max_D_S"] = power(9, 13)
        if rng.random() < 0.3:
            arguments["max_D_T"] = power(9, 13)
        if rng.random() < 0.3:
            arguments["students_sharing"] = float(rng.integers(1, 20))
        if goal == "C" and rng.random() < 0.2:
            arguments["inference_tokens"] = power(8, 12)
        if rng.random() < 0.4:
            arguments["accuracy"] = (0.0, 1e-3, 0.003, 0.03)[int(rng.integers(4))]
        rows = None
        if rng.random() < 0.35:
            arguments.pop("max_D_T", None)  # of a teacher to be designed
            rows = []
            for _ in range(int(rng.integers(1, 4))):
                measured = float(f"{rng.uniform(1.7, 3.0):.3f}") if rng.random() < 0.4 else None
                rows.append([power(8, 11), power(9, 13), measured])
            if scenario == "best_case" and rng.random() < 0.5:
                rows.append([None, None, float(f"{rng.uniform(1.7, 3.0):.3f}")])
            arguments["teachers"] = [
                row[2] if row[0] is None else tuple(value for value in row if value is not None)
                for row in rows
            ]
        question = {
            "C": None, "target_loss": None, "D_S": None, "max_D_S": None, "max_D_T": None, "deltas": None, "students_sharing": 1.0,
            "inference_tokens": 0.0, "context": formulas.CONTEXT, "vocabulary": formulas.VOCABULARY,
            "ranges": RANGES, "accuracy": paper.law_accuracy(), **arguments, "teachers": rows, "law": LAWS[reading].to_dict(),
        }  # fmt: skip
        pairs.append((question, {**arguments, "law": LAWS[reading]}))
    return pairs


def answer_of_the_library(arguments):
    """Return the plan as ``Plan.to_dict`` gives it, or the message of its refusal."""
    try:
        return dl.plan(**arguments).to_dict()
    except ValueError as error:
        return str(error)


FIELDS = (
    "N_S", "C", "budget", "L_S", "D_S", "N_T", "D_T", "L_T", "L_supervised", "D_supervised", "C_supervised",
    "flops_student", "flops_logits", "flops_teacher", "flops_inference",
)  # fmt: skip


def printed(plan):
    """Return a plan as people read it: losses in four decimals, counts in six digits, sentences."""
    if isinstance(plan, str):
        return plan

    def written(name):
        value = plan[name]
        if value is None or not math.isfinite(value):
            return "-"
        return f"{value:.4f}" if name.startswith("L_") else f"{value:.6g}"

    shares = [f"{name} {plan['shares'][name]:.3%}" for name in sorted(plan["shares"])]
    words = [*plan["warnings"], plan["outcome"], plan["verdict"], plan["goal"], f"teacher {plan['teacher']}"]
    return [written(name) for name in FIELDS] + shares + words
