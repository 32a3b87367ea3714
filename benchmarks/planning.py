"""How fast plans are made, against SciPy's SLSQP from several starts, the optimiser the paper used.

Run it from the repository: ``OMP_NUM_THREADS=1 python benchmarks/planning.py``. Both sides plan the same
sizes, budgets and scenarios within the same bounds and evaluate the same formulas. SLSQP works on the
logarithms of N_T, D_S and D_T, with the budget as a constraint, from a grid of starts inside the bounds:
one in the middle, then two and three per axis. The ratio is printed for each number of starts. On this
smooth problem a single start can be enough, but only comparing several tells that it was.
"""

from __future__ import annotations

import argparse
import itertools
import math
import resource
import time

import numpy as np
from scipy.optimize import minimize

from distill_lib.scaling import formulas
from distill_lib.scaling.laws import DistillationLaw, published_law
from distill_lib.scaling.planning import SCENARIOS, plan, plan_map

LOW, HIGH = (math.log(bound) for bound in formulas.BOUNDS)
CASES = [(3e8, 1e20), (1e9, 1e21), (3e9, 1e23), (1e10, 1e22), (3e10, 1e26)]


def slsqp_plan(N_S: float, C: float, scenario: str, law: DistillationLaw, per_axis: int) -> float:
    """Return the least L_S that SLSQP finds from per_axis^3 starts."""
    coefficients, deltas = law.to_dict(), formulas.SCENARIOS[scenario]
    base = coefficients["supervised"]

    def loss(v: np.ndarray) -> float:
        N_T, D_S, D_T = (math.exp(x) for x in v)
        return formulas.distillation_loss(N_S, D_S, formulas.supervised_loss(N_T, D_T, base), coefficients)

    def left(v: np.ndarray) -> float:
        N_T, D_S, D_T = (math.exp(x) for x in v)
        return math.log(C) - math.log(sum(formulas.compute_bill(N_S, D_S, N_T, D_T, *deltas)))

    best = math.inf
    places = [LOW + (HIGH - LOW) * (i + 0.5) / per_axis for i in range(per_axis)]
    for start in itertools.product(places, repeat=3):
        found = minimize(
            loss,
            np.array(start),
            method="SLSQP",
            bounds=[(LOW, HIGH)] * 3,
            constraints={"type": "ineq", "fun": left},
            options={"ftol": 1e-12, "maxiter": 500},
        )
        if left(found.x) > -1e-9:
            best = min(best, float(found.fun))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, help="plans per case")
    parser.add_argument("--most", type=int, default=3, help="most SLSQP starts per axis")
    arguments = parser.parse_args()
    law = published_law()
    questions = [(N_S, C, scenario) for N_S, C in CASES for scenario in SCENARIOS]

    def time_ours() -> float:
        start = time.process_time()
        for _ in range(arguments.repeats):
            for question in questions:
                plan(*question, law)
        return (time.process_time() - start) / (arguments.repeats * len(questions))

    plans = [plan(*question, law) for question in questions]  # imports and caches are warm
    print(f"one plan: {1e3 * time_ours():.2f} ms (mean of {len(questions)} questions)")
    print(f"largest optimality residual: {max(p.residual for p in plans):.1e} nats per e-fold")

    for per_axis in range(1, arguments.most + 1):
        ours = time_ours()  # side by side, since the speed of a machine drifts
        start = time.process_time()
        theirs = [slsqp_plan(*question, law, per_axis) for question in questions]
        seconds = (time.process_time() - start) / len(questions)
        gaps = np.array([their - our.L_S for their, our in zip(theirs, plans, strict=True)])
        met = int(np.sum(np.abs(gaps) < 1e-6))
        print(
            f"SLSQP, {per_axis**3:2d} starts: {1e3 * seconds:6.1f} ms a plan, {seconds / ours:4.0f} times ours; "
            f"same L_S to 1e-6 in {met} of {len(questions)}, max |dL_S| {np.abs(gaps).max():.1e}"
        )

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    for scenario in SCENARIOS:
        plan_map(np.geomspace(3e8, 5e10, 64), np.geomspace(1e20, 1e26, 64), scenario, law)
    seconds = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"map of Fig 27, 64 x 64 x 4 scenarios: {seconds:.2f} s, {4 * 64 * 64 / seconds:,.0f} plans a second"
    )
    print(f"peak memory: {after / 1024:.0f} MB in all, {(after - before) / 1024:.0f} MB for the map")


if __name__ == "__main__":
    main()
