"""The mathematics of the paper in plain Python: two laws, the FLOPs, the bill and the best plan.

Nothing is imported but ``math``, and nothing is used that MicroPython lacks: this very file also runs
in the browser page of the book. Every function takes plain floats. Given ``ops=numpy`` the same lines
take arrays, which is how :mod:`distill_lib.scaling.laws` and the plan maps evaluate whole grids: each
formula is written once.

A law is a plain dict here, as ``law.to_dict()`` gives it::

    {"E": ..., "A": ..., "B": ..., "alpha": ..., "beta": ..., "gamma": ...}
    {"A": ..., "B": ..., "alpha": ..., "beta": ..., "gamma": ...,      # the primed ones of Eq 8
     "c0": ..., "c1": ..., "f1": ..., "d1": ..., "supervised": {...}}

Inputs are taken on trust; the functions with names of the public face check theirs.
"""

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as Number
else:
    Number = float

CONTEXT = 4096
VOCABULARY = 32768  # App G.4 says 32168, but Table 13 and Fig 54 only fit this one (erratum e06)
ASPECT_RATIO = 128  # rho = d_model / n_layers
WIDTH_FACTOR = 12  # omega: N = omega n_layers d_model^2 for gated blocks with d_ff = 8/3 d_model

# (delta of the logits, delta of the teacher's training), Tables 2 and 5
SCENARIOS = {
    "best_case": (0.0, 0.0),
    "teacher_inference": (1.0, 0.0),
    "teacher_pretraining": (0.0, 1.0),
    "teacher_pretraining_inference": (1.0, 1.0),
}


class Floats:
    """The few operations that differ between plain floats and arrays: it stands in for ``numpy``."""

    exp = math.exp
    log = math.log
    any = bool

    @staticmethod
    def maximum(a: Number, b: Number) -> Number:
        """Return the larger of two numbers."""
        return a if a > b else b

    @staticmethod
    def minimum(a: Number, b: Number) -> Number:
        """Return the smaller of two numbers."""
        return a if a < b else b

    @staticmethod
    def where(condition: Number, a: Number, b: Number) -> Number:
        """Return a if the condition holds, else b."""
        return a if condition else b


# ---------------------------------------------------------------- the two laws


def reconciled_B(B: Number, beta: Number) -> Number:
    """Return B' per token from a B' that counts D_S in thousands of tokens: B' 1000^beta'.

    The reading under which Table 6 agrees with the rest of the paper (erratum e01).
    """
    return B * 1000.0**beta


def log_add(a: Number, b: Number, ops: Number = Floats) -> Number:
    """Return ln(e^a + e^b) without overflow (the LSE of Eq 49)."""
    return ops.maximum(a, b) + ops.log(1.0 + ops.exp(-abs(a - b)))


def supervised_loss(N: Number, D: Number, law: Number) -> Number:
    """Return L(N, D) = E + (A / N^alpha + B / D^beta)^gamma in nats per token (Eq 1)."""
    return law["E"] + (law["A"] * N ** -law["alpha"] + law["B"] * D ** -law["beta"]) ** law["gamma"]


def student_excess(N_S: Number, D_S: Number, L_T: Number, law: Number, ops: Number = Floats) -> Number:
    """Return ln(L_S - L_T), the second term of Eq 49."""
    log_L_T = ops.log(L_T)
    beyond_break = (log_L_T - ops.log(law["d1"] * supervised_loss(N_S, D_S, law["supervised"]))) / law["f1"]
    return (
        -law["c0"] * log_L_T
        - law["c1"] * law["f1"] * log_add(0.0, beyond_break, ops)
        + law["gamma"] * ops.log(law["A"] * N_S ** -law["alpha"] + law["B"] * D_S ** -law["beta"])
    )


def distillation_loss(N_S: Number, D_S: Number, L_T: Number, law: Number, ops: Number = Floats) -> Number:
    """Return L_S(N_S, D_S, L_T) in nats per token (Eq 8, evaluated through logarithms as in Eq 49)."""
    return L_T + ops.exp(student_excess(N_S, D_S, L_T, law, ops))


def excess_and_slopes(N_S: Number, D_S: Number, L_T: Number, law: Number, ops: Number = Floats) -> Number:
    """Return ln(L_S - L_T) and its derivatives by ln D_S and by ln L_T."""
    base = law["supervised"]
    x, y = base["A"] * N_S ** -base["alpha"], base["B"] * D_S ** -base["beta"]
    supervised = base["E"] + (x + y) ** base["gamma"]
    y_student = law["B"] * D_S ** -law["beta"]
    beyond_break = (ops.log(L_T) - ops.log(law["d1"] * supervised)) / law["f1"]
    past = 1.0 / (1.0 + ops.exp(ops.minimum(-beyond_break, 700.0)))
    base_slope = -base["gamma"] * base["beta"] * (x + y) ** (base["gamma"] - 1.0) * y / supervised
    share = y_student / (law["A"] * N_S ** -law["alpha"] + y_student)
    by_tokens = law["c1"] * past * base_slope - law["gamma"] * law["beta"] * share
    by_teacher = -law["c0"] - law["c1"] * past
    return student_excess(N_S, D_S, L_T, law, ops), by_tokens, by_teacher


# ---------------------------------------------------------------- counting compute


def flop_terms(context: Number = CONTEXT, vocabulary: Number = VOCABULARY) -> Number:
    """Return (c1, c2) of F(N) = 2N (1 + c1 N^-1/3 + c2 N^-2/3): attention and output head (Eq 69)."""
    sigma_1 = (ASPECT_RATIO * WIDTH_FACTOR**2) ** (-1.0 / 3.0)
    sigma_2 = (ASPECT_RATIO / WIDTH_FACTOR) ** (1.0 / 3.0)
    return sigma_1 * context, sigma_2 * vocabulary


def forward_flops(N: Number, context: Number = CONTEXT, vocabulary: Number = VOCABULARY) -> Number:
    """Return the forward FLOPs per token of a model with N non-embedding parameters (Eq 69)."""
    c1, c2 = flop_terms(context, vocabulary)
    return 2.0 * N * (1.0 + c1 * N ** (-1.0 / 3.0) + c2 * N ** (-2.0 / 3.0))


def compute_bill(
    N_S: Number,
    D_S: Number,
    N_T: Number,
    D_T: Number,
    delta_logits: Number,
    delta_pretraining: Number,
    context: Number = CONTEXT,
    vocabulary: Number = VOCABULARY,
) -> Number:
    """Return the FLOPs of (student training, teacher logits, teacher training); backward is 2 forward."""
    F_S = forward_flops(N_S, context, vocabulary)
    F_T = forward_flops(N_T, context, vocabulary)
    return 3.0 * F_S * D_S, delta_logits * F_T * D_S, delta_pretraining * 3.0 * F_T * D_T


# ---------------------------------------------------------------- the lowest point of a curve

GOLDEN_RATIO = (5.0**0.5 - 1.0) / 2.0
GOLDEN_STEPS = 38  # 0.618^38 takes a bracket of 0.2 to 2e-9


def choose(condition: Number, a: Number, b: Number, ops: Number = Floats) -> Number:
    """Return the tuple whose members come from the tuple a where the condition holds, else from b."""
    return tuple([ops.where(condition, p, q) for p, q in zip(a, b)])  # noqa: B905 - MicroPython has no strict


def lowest_point(evaluate: Number, grid: Number, start: Number, ops: Number = Floats) -> Number:
    """Return (value, start, place) at the lowest point of a curve over an evenly falling grid.

    ``evaluate(place, start)`` returns such a triple: the value (infinite where there is none), an aid that
    the next call nearby may start from, and the place. The grid is scanned and its two deepest valleys
    are searched by golden section: a curve with a capacity gap can have two.
    """
    rows = []
    for place in grid:
        rows.append(evaluate(place + 0.0 * start, start))
        start = rows[-1][1]
    wall = (math.inf, rows[0][1], rows[0][2])
    best = second = wall
    for i in range(len(rows)):
        before = rows[i - 1][0] if i > 0 else math.inf
        after = rows[i + 1][0] if i + 1 < len(rows) else math.inf
        valley = (rows[i][0] <= before) & (rows[i][0] < after)
        here = choose(valley, rows[i], wall, ops)
        deeper = here[0] < best[0]
        second = choose(deeper, best, choose(here[0] < second[0], here, second, ops), ops)
        best = choose(deeper, here, best, ops)

    best = golden_section(evaluate, best, grid, ops)
    if ops.any(second[0] < math.inf):
        other = golden_section(evaluate, second, grid, ops)
        best = choose(other[0] < best[0], other, best, ops)
    return best


def golden_section(evaluate: Number, row: Number, grid: Number, ops: Number = Floats) -> Number:
    """Return the row of ``evaluate`` at the bottom of the valley around the place of ``row``."""
    spacing = grid[0] - grid[1]
    low = ops.maximum(row[2] - spacing, grid[-1])
    high = ops.minimum(row[2] + spacing, grid[0])
    left = evaluate(high - GOLDEN_RATIO * (high - low), row[1])
    right = evaluate(low + GOLDEN_RATIO * (high - low), left[1])
    for _ in range(GOLDEN_STEPS):
        lower = left[0] < right[0]  # where both are infinite the way is up, towards weaker teachers
        low, high = ops.where(lower, low, left[2]), ops.where(lower, right[2], high)
        step = GOLDEN_RATIO * (high - low)
        new = evaluate(ops.where(lower, high - step, low + step), left[1])
        left, right = choose(lower, new, right, ops), choose(lower, left, new, ops)
    # The bracket may end at the end of the grid, a bound of the problem, and that may be the optimum.
    best = choose(left[0] < right[0], left, right, ops)
    for end in (low, high):
        new = evaluate(end, best[1])
        best = choose(new[0] < best[0], new, best, ops)
    return best


# ---------------------------------------------------------------- the best plan
#
# The unknowns are N_T, D_T and D_S. The first two matter through L_T = L(N_T, D_T) alone, so the search
# has one dimension, the teacher loss, written z = ln(L_T - E):
#   1. the cheapest teacher of that loss is the root of one smooth equation in one unknown, the balance
#      t = ln of (A / N_T^alpha) / (B / D_T^beta)                                  (cheapest_teacher);
#   2. what is left of the budget fixes D_S, and the law gives L_S.

BOUNDS = (1e6, 1e17)  # of N_T, D_T and D_S in every plan of the paper (Sec 5.3, App D.4.1)
TEACHER_SCAN = 48  # points over the range of z: about 0.1 apart, valleys are several times wider
NEWTON_STEPS = 3  # each call starts from the balance found nearby
TOKEN_STEPS = 60  # at the most; a handful is the rule
OUT_OF_REACH = 1e3  # above every ln C and every loss
TINY = 1e-300  # keeps logarithms finite where a bound is met exactly


def term_ranges(law: Number, N_bounds: Number, D_bounds: Number) -> Number:
    """Return the ranges of x = A / N_T^alpha and of y = B / D_T^beta within the bounds of N_T and D_T."""
    return (
        (law["A"] * N_bounds[1] ** -law["alpha"], law["A"] * N_bounds[0] ** -law["alpha"]),
        (law["B"] * D_bounds[1] ** -law["beta"], law["B"] * D_bounds[0] ** -law["beta"]),
    )


def balance_limits(u: Number, ranges: Number, ops: Number = Floats) -> Number:
    """Return the lowest and highest balance t = ln(x / y) of x + y = u with both in their ranges."""
    (x_low, x_high), (y_low, y_high) = ranges
    first = ops.maximum(x_low, u - y_high)
    last = ops.maximum(ops.minimum(x_high, u - y_low), first)
    return ops.log(first / ops.maximum(u - first, TINY)), ops.log(last / ops.maximum(u - last, TINY))


def cheapest_teacher(
    z: Number,
    t: Number,
    tokens: Number,
    law: Number,
    deltas: Number,
    terms: Number,
    ranges: Number,
    steps: int,
    ops: Number = Floats,
) -> Number:
    """Return (F_T, N_T, D_T, t) of the cheapest teacher with loss E + e^z within the ranges of x and y.

    The cost F(N_T) (delta_logits D_S + 3 delta_pretraining D_T) on the curve of equal loss is least where
    ln phi (1 + q) = t + ln(alpha / beta), with phi = dlnF/dlnN and q the ratio of the two costs. Newton's
    method starts from the argument ``t``. ``tokens(F_T, D_T)`` gives D_S; where D_S follows from the
    budget its slope vanishes at the optimum (envelope theorem), so the same step serves.
    """
    delta_logits, delta_pretraining = deltas
    c1, c2 = terms
    alpha, beta = law["alpha"], law["beta"]
    log_u = z / law["gamma"]
    log_A, log_B = math.log(law["A"]) - log_u, math.log(law["B"]) - log_u
    t_low, t_high = balance_limits(ops.exp(log_u), ranges, ops)
    q_scale = delta_logits / (3.0 * delta_pretraining) if delta_pretraining > 0.0 else 0.0
    target = math.log(alpha / beta)
    if delta_logits > 0.0 and delta_pretraining == 0.0:
        # Its tokens are free, so the cheapest teacher sees as many as allowed and is as small as can be.
        t, steps = t_high, 0

    while True:
        t = ops.minimum(ops.maximum(t, t_low), t_high)
        e = ops.exp(t)
        w = ops.log(1.0 + e)
        n = ops.exp((log_A - t + w) / (3.0 * alpha))  # N_T^(1/3)
        D_T = ops.exp((log_B + w) / beta)
        inner = (n + c1) * n + c2
        F_T = 2.0 * n * inner
        if steps == 0:
            return F_T, n * n * n, D_T, t
        steps -= 1
        outer = (n + 2.0 / 3.0 * c1) * n + c2 / 3.0
        q = q_scale * tokens(F_T, D_T) / D_T
        share = e / (1.0 + e)
        bend = n / 3.0 * ((2.0 * n + 2.0 / 3.0 * c1) / outer - (2.0 * n + c1) / inner)
        slope = 1.0 + bend * (1.0 - share) / alpha + q / (1.0 + q) * share / beta
        t = t + (ops.log(outer / inner * (1.0 + q)) - t - target) / slope


def tokens_for_loss(
    N_S: Number, L_T: Number, L_S: Number, law: Number, D_bounds: Number, ops: Number = Floats
) -> Number:
    """Return the D_S at which the student of a teacher of loss L_T reaches L_S; infinite where none does.

    Newton's method in y = D_S^-beta', in which (L_S - L_T)^(1/gamma') is nearly a straight line, kept
    inside a bracket.
    """
    gamma, beta = law["gamma"], law["beta"]
    wanted = ops.log(ops.maximum(L_S - L_T, TINY))
    s = math.log(D_bounds[0]) + 0.0 * (N_S * wanted)
    low, high = s, math.log(D_bounds[1]) + 0.0 * s
    possible = student_excess(N_S, D_bounds[1], L_T, law, ops) <= wanted
    for _ in range(TOKEN_STEPS):
        excess, slope, _ = excess_and_slopes(N_S, ops.exp(s), L_T, law, ops)
        too_few = excess > wanted
        low, high = ops.where(too_few, s, low), ops.where(too_few, high, s)
        shrink = 1.0 + beta * gamma / slope * (1.0 - ops.exp((wanted - excess) / gamma))
        new = s - ops.log(ops.maximum(shrink, TINY)) / beta
        new = ops.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        moved = abs(new - s) > 1e-14 * abs(s)
        s = new
        if not ops.any(possible & moved):
            break
    return ops.where(possible, ops.exp(s), math.inf)


def plan_student(
    N_S: Number,
    C: Number,
    law: Number,
    deltas: Number,
    context: Number = CONTEXT,
    vocabulary: Number = VOCABULARY,
    D_S_bounds: Number = BOUNDS,
    N_T_bounds: Number = BOUNDS,
    D_T_bounds: Number = BOUNDS,
    target_loss: Number = None,
    ops: Number = Floats,
) -> Number:
    """Return the plan of least L_S within C FLOPs, or the cheapest plan that reaches ``target_loss``.

    ``N_S``, ``C`` and ``target_loss`` may be arrays under ``ops=numpy``; ``C`` is ignored with a target
    loss. The result is a dict of L_S, D_S, N_T, D_T, L_T, C (what the plan spends) and ``feasible``.
    """
    base = law["supervised"]
    terms = flop_terms(context, vocabulary)
    ranges = term_ranges(base, N_T_bounds, D_T_bounds)
    delta_logits, delta_pretraining = deltas
    F_S = forward_flops(N_S, context, vocabulary)

    def affordable(F_T: Number, D_T: Number) -> Number:
        return (C - 3.0 * delta_pretraining * F_T * D_T) / (3.0 * F_S + delta_logits * F_T)

    def within_budget(F_T: Number, D_T: Number) -> Number:
        return ops.minimum(ops.maximum(affordable(F_T, D_T), D_S_bounds[0]), D_S_bounds[1])

    def bill(F_T: Number, D_S: Number, D_T: Number) -> Number:
        return 3.0 * F_S * D_S + F_T * (delta_logits * D_S + 3.0 * delta_pretraining * D_T)

    def teacher(z: Number, t: Number, tokens: Number, steps: int = NEWTON_STEPS) -> Number:
        return cheapest_teacher(z, t, tokens, base, deltas, terms, ranges, steps, ops)

    def student_loss(z: Number, t: Number) -> Number:
        """Return (L_S, t, z) of the best student whose teacher has the loss E + e^z."""
        F_T, _, D_T, t = teacher(z, t, within_budget)
        L_S = distillation_loss(N_S, within_budget(F_T, D_T), base["E"] + ops.exp(z), law, ops)
        possible = affordable(F_T, D_T) >= D_S_bounds[0] * (1.0 - 1e-12)
        return ops.where(possible, L_S, math.inf), t, z

    def tokens_wanted(z: Number) -> Number:
        return tokens_for_loss(N_S, base["E"] + ops.exp(z), target_loss, law, D_S_bounds, ops)

    def cost(z: Number, t: Number) -> Number:
        """Return (ln C, t, z) of the cheapest way to the target loss with the teacher loss E + e^z.

        Near the floor few teachers will do; a slope outside leads the search to them.
        """
        wanted = tokens_wanted(z)
        D_S = ops.minimum(wanted, D_S_bounds[1])
        F_T, _, D_T, t = teacher(z, t, lambda F_T, D_T: D_S)
        missed_by = distillation_loss(N_S, D_S_bounds[1], base["E"] + ops.exp(z), law, ops) - target_loss
        return ops.where(wanted < math.inf, ops.log(bill(F_T, D_S, D_T)), OUT_OF_REACH + missed_by), t, z

    # From weak to strong teachers: if any teacher can be paid for, the first can.
    top = math.log(supervised_loss(N_T_bounds[0], D_T_bounds[0], base) - base["E"])
    bottom = math.log(supervised_loss(N_T_bounds[1], D_T_bounds[1], base) - base["E"])
    grid = [top + (bottom - top) * i / (TEACHER_SCAN - 1) for i in range(TEACHER_SCAN)]
    evaluate = student_loss if target_loss is None else cost
    value, t, z = lowest_point(evaluate, grid, 0.0 * F_S, ops)

    if target_loss is None:
        tokens = within_budget
    else:
        D_S = ops.minimum(tokens_wanted(z), D_S_bounds[1])

        def tokens(F_T: Number, D_T: Number) -> Number:
            return D_S

    _, N_T, D_T, _ = teacher(z, t, tokens, 2 * NEWTON_STEPS)
    N_T = ops.minimum(ops.maximum(N_T, N_T_bounds[0]), N_T_bounds[1])
    D_T = ops.minimum(ops.maximum(D_T, D_T_bounds[0]), D_T_bounds[1])
    F_T = forward_flops(N_T, context, vocabulary)
    D_S = tokens(F_T, D_T)
    L_T = supervised_loss(N_T, D_T, base)
    return {
        "L_S": distillation_loss(N_S, D_S, L_T, law, ops),
        "D_S": D_S,
        "N_T": N_T,
        "D_T": D_T,
        "L_T": L_T,
        "C": bill(F_T, D_S, D_T),
        "feasible": value < OUT_OF_REACH,
    }
