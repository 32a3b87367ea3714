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
    """Return B' per token from a B' that counts D_S in thousands of tokens.

    This is the reading under which Table 6 agrees with the rest of the paper (erratum e01).

    Parameters
    ----------
    B, beta : float
        B' and beta' as printed.

    Returns
    -------
    float
        B' 1000^beta'.
    """
    return B * 1000.0**beta


def log_add(a: Number, b: Number, ops: Number = Floats) -> Number:
    """Return ln(e^a + e^b) without overflow (the LSE of Eq 49)."""
    return ops.maximum(a, b) + ops.log(1.0 + ops.exp(-abs(a - b)))


def supervised_loss(N: Number, D: Number, law: Number) -> Number:
    """Return L(N, D) = E + (A / N^alpha + B / D^beta)^gamma (Eq 1).

    Parameters
    ----------
    N, D : float
        Non-embedding parameters and tokens.
    law : dict
        Coefficients of a supervised law.

    Returns
    -------
    float
        Nats per token.
    """
    return law["E"] + (law["A"] * N ** -law["alpha"] + law["B"] * D ** -law["beta"]) ** law["gamma"]


def distillation_loss(N_S: Number, D_S: Number, L_T: Number, law: Number, ops: Number = Floats) -> Number:
    """Return L_S(N_S, D_S, L_T) (Eq 8, evaluated through logarithms as in Eq 49).

    Parameters
    ----------
    N_S, D_S : float
        Non-embedding parameters and tokens of the student.
    L_T : float
        Loss of the teacher, nats per token.
    law : dict
        Coefficients of a distillation law.
    ops : module
        ``numpy`` for arrays.

    Returns
    -------
    float
        Nats per token.
    """
    return L_T + ops.exp(student_term(N_S, D_S, L_T, law, ops)[0])


def student_term(N_S: Number, D_S: Number, L_T: Number, law: Number, ops: Number = Floats) -> Number:
    """Return ln(L_S - L_T), the second term of Eq 49, and its derivatives by ln D_S and by ln L_T."""
    base = law["supervised"]
    x, y = base["A"] * N_S ** -base["alpha"], base["B"] * D_S ** -base["beta"]
    reducible = (x + y) ** base["gamma"]
    supervised = base["E"] + reducible

    log_L_T = ops.log(L_T)
    beyond_break = (log_L_T - ops.log(law["d1"] * supervised)) / law["f1"]
    bend = log_add(0.0, beyond_break, ops)

    y_student = law["B"] * D_S ** -law["beta"]
    both = law["A"] * N_S ** -law["alpha"] + y_student
    term = -law["c0"] * log_L_T - law["c1"] * law["f1"] * bend + law["gamma"] * ops.log(both)

    past_break = law["c1"] * ops.exp(beyond_break - bend)
    of_supervised = -base["gamma"] * base["beta"] * reducible * y / ((x + y) * supervised)
    by_tokens = past_break * of_supervised - law["gamma"] * law["beta"] * y_student / both
    return term, by_tokens, -law["c0"] - past_break


def supervised_tokens(N: Number, L: Number, law: Number, ops: Number = Floats) -> Number:
    """Return the D at which a model of N parameters reaches the loss L; infinite at or below its floor.

    Parameters
    ----------
    N, L : float
        Non-embedding parameters, and the loss wanted in nats per token.
    law : dict
        Coefficients of a supervised law.
    ops : module
        ``numpy`` for arrays.

    Returns
    -------
    float
        Tokens.
    """
    left = ops.maximum(L - law["E"], 0.0) ** (1.0 / law["gamma"]) - law["A"] * N ** -law["alpha"]
    log_D = (ops.log(law["B"]) - ops.log(ops.maximum(left, TINY))) / law["beta"]
    return ops.where((left > TINY) & (log_D < 700.0), ops.exp(ops.minimum(log_D, 700.0)), math.inf)


# ---------------------------------------------------------------- counting compute


def flop_terms(context: Number = CONTEXT, vocabulary: Number = VOCABULARY) -> Number:
    """Return (c1, c2) of F(N) = 2N (1 + c1 N^-1/3 + c2 N^-2/3): attention and output head (Eq 69)."""
    sigma_1 = (ASPECT_RATIO * WIDTH_FACTOR**2) ** (-1.0 / 3.0)
    sigma_2 = (ASPECT_RATIO / WIDTH_FACTOR) ** (1.0 / 3.0)
    return sigma_1 * context, sigma_2 * vocabulary


def forward_flops(N: Number, context: Number = CONTEXT, vocabulary: Number = VOCABULARY) -> Number:
    """Return the forward FLOPs per token by the two-term formula (Eq 69).

    Parameters
    ----------
    N : float
        Non-embedding parameters.
    context, vocabulary : int
        Tokens of context, and of the vocabulary.

    Returns
    -------
    float
        FLOPs per token.
    """
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
    """Return what a distillation costs in FLOPs; a backward pass counts as two forward ones (Table 2).

    Parameters
    ----------
    N_S, D_S, N_T, D_T : float
        Parameters and tokens of student and teacher.
    delta_logits, delta_pretraining : float
        The part of the teacher's logits and of its training that is charged, 0 to 1.
    context, vocabulary : int
        Tokens of context, and of the vocabulary.

    Returns
    -------
    tuple of float
        Student training, teacher logits, teacher training.
    """
    F_S = forward_flops(N_S, context, vocabulary)
    F_T = forward_flops(N_T, context, vocabulary)
    return 3.0 * F_S * D_S, delta_logits * F_T * D_S, delta_pretraining * 3.0 * F_T * D_T


def device_flops(peak: Number, devices: Number, days: Number, utilisation: Number) -> Number:
    """Return the FLOPs that devices with so many FLOP/s at their peak deliver in days."""
    return peak * devices * days * 86400.0 * utilisation


def logit_row_bytes(vocabulary: int, top_k: Number, width: int) -> int:
    """Return the bytes of one token's logits of so many bytes each: all of them, or the top k with places."""
    place = 2 if vocabulary <= 65536 else 4
    return width * vocabulary if top_k is None else (width + place) * top_k


# ---------------------------------------------------------------- the lowest point of a curve

REGULA_FALSI = 12  # steps; six to ten are the rule, and what is left after them is bisected
BISECTIONS = 32


def choose(condition: Number, a: Number, b: Number, ops: Number = Floats) -> Number:
    """Return the tuple a where the condition holds, else the tuple b, member by member."""
    if ops is Floats:
        return a if condition else b
    return tuple([ops.where(condition, p, q) for p, q in zip(a, b)])  # noqa: B905 - MicroPython has no strict


def hides_a_valley(above: Number, below: Number) -> Number:
    """Return whether the cubic through two rows turns between them though both slopes have one sign."""
    middle = 1.5 * (above[0] - below[0]) / (above[2] - below[2]) - 0.25 * (above[1] + below[1])
    return (above[1] * below[1] > 0.0) & (middle * above[1] < 0.0)


def lowest_point(evaluate: Number, grid: Number, start: Number, ops: Number = Floats) -> Number:
    """Return (value, slope, place, start) at the lowest point of a curve over a falling grid.

    ``evaluate(place, start)`` returns such a row: the value, its slope, the place, and an aid from which the
    next call nearby may start. The grid is scanned, and the two deepest of its valleys are searched: a
    curve with a capacity gap can have two. An end of the grid can be the lowest point.
    """
    rows = [evaluate(grid[0] + 0.0 * start, start)]
    for place in grid[1:]:
        new = evaluate(place + 0.0 * start, rows[-1][3])
        if ops.any(hides_a_valley(rows[-1], new)):
            rows.append(evaluate(0.5 * (rows[-1][2] + new[2]), new[3]))
        rows.append(new)

    # A valley lies between two rows where the slope changes sign; an end is one if the slope leads to it.
    pairs = [(rows[0][1] <= 0.0, rows[0], rows[0]), (rows[-1][1] > 0.0, rows[-1], rows[-1])]
    for i in range(1, len(rows)):
        pairs.append(((rows[i][1] <= 0.0) & (rows[i - 1][1] > 0.0), rows[i - 1], rows[i]))
    best = second = (math.inf,) + rows[0] + rows[0]
    for is_valley, above, below in pairs:
        depth = ops.where(is_valley, ops.minimum(above[0], below[0]), math.inf)
        here = (depth,) + above + below  # noqa: RUF005 - MicroPython
        deeper = depth < best[0]
        second = choose(deeper, best, choose(depth < second[0], here, second, ops), ops)
        best = choose(deeper, here, best, ops)

    lowest = valley_floor(evaluate, best[1:5], best[5:9], ops)
    if ops.any(second[0] < math.inf):
        other = valley_floor(evaluate, second[1:5], second[5:9], ops)
        lowest = choose((second[0] < math.inf) & (other[0] < lowest[0]), other, lowest, ops)
    return lowest


def valley_floor(evaluate: Number, above: Number, below: Number, ops: Number = Floats) -> Number:
    """Return the row where the slope passes zero between two rows, by regula falsi (Illinois).

    At a kink, where a bound takes hold, the slope jumps across zero: the bracket then closes on the kink.
    """
    slope_above, slope_below, last = above[1], below[1], 0.0 * above[1]
    best = choose(above[0] < below[0], above, below, ops)
    for step in range(REGULA_FALSI + BISECTIONS):
        width = above[2] - below[2]
        rise = slope_above - slope_below
        part = ops.where(rise > 0.0, -slope_below / ops.where(rise > 0.0, rise, 1.0), 0.0)
        part = part if step < REGULA_FALSI else 0.5
        new = evaluate(below[2] + part * width, best[3])
        up = new[1] > 0.0
        # An end that stays for the second time has its slope halved, or it would stay for ever.
        slope_below = ops.where(up, ops.where(last > 0.0, 0.5, 1.0) * slope_below, new[1])
        slope_above = ops.where(up, new[1], ops.where(last < 0.0, 0.5, 1.0) * slope_above)
        above, below = choose(up, new, above, ops), choose(up, below, new, ops)
        best = choose(new[0] <= best[0] * (1.0 + 1e-15), new, best, ops)
        last = ops.where(up, 1.0, -1.0)
        if not ops.any((abs(new[1]) > 1e-12) & (width > 1e-10)):
            break
    return best


def best_teacher(law: Number, N_S: Number, D_S: Number, ops: Number = Floats) -> Number:
    """Return the L_T that suits a student best, and the L_S it then reaches: the bottom of the capacity gap.

    Parameters
    ----------
    law : dict
        Coefficients of a distillation law.
    N_S, D_S : float
        Parameters and tokens of the student; D_S may be infinite.
    ops : module
        ``numpy`` for arrays, of which those of the law broadcast against the students, as [laws, 1].

    Returns
    -------
    tuple of float
        L_T and L_S, nats per token.
    """

    def evaluate(z: Number, start: Number) -> Number:
        L_T = ops.exp(z)
        term, _, by_teacher = student_term(N_S, D_S, L_T, law, ops)
        gain = ops.exp(term)
        return L_T + gain, L_T + gain * by_teacher, z, start

    top = math.log(math.log(VOCABULARY))  # a uniform guess
    bottom = ops.log(ops.maximum(law["supervised"]["E"], 0.01))
    spaces = 2 * TEACHER_SCAN - 1
    grid = [top + (bottom - top) * i / spaces for i in range(spaces + 1)]
    start = 0.0 * (N_S**-1.0 + D_S**-1.0 + law["A"])
    L_S, _, z, _ = lowest_point(evaluate, grid, start, ops)
    return ops.exp(z), L_S


# ---------------------------------------------------------------- the best plan
#
# The unknowns are N_T, D_T and D_S. The first two matter through L_T = L(N_T, D_T) alone, so the search
# has one dimension, the teacher loss, written z = ln(L_T - E):
#   1. the cheapest teacher of that loss is the root of one smooth equation in one unknown, the balance
#      t = ln of (A / N_T^alpha) / (B / D_T^beta)                                  (cheapest_teacher);
#   2. what is left of the budget fixes D_S, and the law gives L_S and its slope in z.

BOUNDS = (1e6, 1e17)  # of N_T, D_T and D_S in every plan of the paper (Sec 5.3, App D.4.1)
TEACHER_SCAN = 20  # spaces over the range of z, at the most 0.25 wide: valleys are wider
EDGE_SCAN = 8  # halvings of the last space
NEWTON_STEPS = 4  # at the most; each call starts from the balance found nearby
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
    """Return, twice, a limit of t = ln(x / y) with x + y = u and whether it is the bound of D_T."""
    (x_low, x_high), (y_low, y_high) = ranges
    first = ops.maximum(x_low, u - y_high)
    last = ops.maximum(ops.minimum(x_high, u - y_low), first)
    t_low = ops.log(first / ops.maximum(u - first, TINY))
    t_high = ops.log(last / ops.maximum(u - last, TINY))
    return (t_low, u - y_high > x_low), (t_high, u - y_low < x_high)


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
    """Return (F_T, N_T, D_T, t, slope) of the cheapest teacher with loss E + e^z within its ranges.

    The cost F(N_T) (delta_logits D_S + 3 delta_pretraining D_T) on the curve of equal loss is least where
    ln phi (1 + q) = t + ln(alpha / beta), with phi = dlnF/dlnN and q the ratio of the two costs. Newton's
    method starts from the argument ``t``. ``tokens(F_T, D_T)`` gives D_S; where D_S follows from the
    budget its slope vanishes at the optimum (envelope theorem), so the same step serves. The last result
    is the slope of the cost in z at fixed D_S.
    """
    delta_logits, delta_pretraining = deltas
    c1, c2 = terms
    alpha, beta, gamma = law["alpha"], law["beta"], law["gamma"]
    log_u = z / gamma
    log_A, log_B = math.log(law["A"]) - log_u, math.log(law["B"]) - log_u
    (t_low, low_is_of_D), (t_high, high_is_of_D) = balance_limits(ops.exp(log_u), ranges, ops)
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
        outer = (n + 2.0 / 3.0 * c1) * n + c2 / 3.0  # phi is outer / inner
        F_T = 2.0 * n * inner
        logits, training = delta_logits * tokens(F_T, D_T), 3.0 * delta_pretraining * D_T
        if steps == 0:
            break
        q = logits / training if delta_pretraining > 0.0 else 0.0
        share = e / (1.0 + e)
        bend = n / 3.0 * ((2.0 * n + 2.0 / 3.0 * c1) / outer - (2.0 * n + c1) / inner)
        slope = 1.0 + bend * (1.0 - share) / alpha + q / (1.0 + q) * share / beta
        step = (ops.log(outer / inner * (1.0 + q)) - t - target) / slope
        t = t + step
        steps = steps - 1 if ops.any(abs(step) > 1e-5) else 0  # Newton squares what is left

    # A better teacher costs more tokens at the same size, or more size where the tokens are at a bound.
    by_tokens = -F_T * training * (1.0 + e) / (gamma * beta)
    by_size = -2.0 * n * outer * (logits + training) * (1.0 + 1.0 / e) / (gamma * alpha)
    tokens_bound = ((t >= t_high) & high_is_of_D) | ((t <= t_low) & low_is_of_D)
    return F_T, n * n * n, D_T, t, ops.where(tokens_bound, by_size, by_tokens)


def strongest_teacher(
    cost: Number, left: Number, top: Number, bottom: Number, t: Number, ops: Number
) -> Number:
    """Return the z of the best teacher that costs no more than ``left``, and whether there is one.

    ``cost(z, t)`` gives (cost, its slope, t), and falls with z; its logarithm is nearly a straight line.
    """
    highest, _, t = cost(bottom + 0.0 * t, t)
    least, _, t = cost(top + 0.0 * t, t)
    exists = least <= left * (1.0 + 1e-12)
    free = highest <= left
    wanted = ops.log(ops.where(exists & (left < math.inf), left, least))
    low, high = bottom + 0.0 * t, top + 0.0 * t
    z, moved = high, exists & (free ^ True)
    for _ in range(TOKEN_STEPS):
        if not ops.any(moved):
            break
        spent, slope, t = cost(z, t)
        too_much = ops.log(spent) > wanted
        low, high = ops.where(too_much, z, low), ops.where(too_much, high, z)
        new = z + (ops.log(spent) - wanted) * spent / ops.where(slope < 0.0, -slope, 1.0)
        new = ops.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        moved = moved & (abs(new - z) > 1e-13)
        z = new
    return ops.where(exists & (free ^ True), z, bottom), exists


def tokens_for_loss(
    N_S: Number, L_T: Number, L_S: Number, law: Number, D_bounds: Number, ops: Number = Floats
) -> Number:
    """Return the D_S at which the student of a teacher of loss L_T reaches L_S; infinite where none does.

    Newton's method in y = D_S^-beta', in which (L_S - L_T)^(1/gamma') is nearly a straight line, kept
    inside a bracket.

    Parameters
    ----------
    N_S : float
        Non-embedding parameters of the student.
    L_T, L_S : float
        Loss of the teacher, and the loss wanted of the student.
    law : dict
        Coefficients of a distillation law.
    D_bounds : tuple of float
        Least and most tokens.
    ops : module
        ``numpy`` for arrays.

    Returns
    -------
    float
        Tokens.
    """
    gamma, beta = law["gamma"], law["beta"]
    wanted = ops.log(ops.maximum(L_S - L_T, TINY))
    s = math.log(D_bounds[0]) + 0.0 * (N_S * wanted)
    low, high = s, math.log(D_bounds[1]) + 0.0 * s
    possible = student_term(N_S, D_bounds[1], L_T, law, ops)[0] <= wanted
    for _ in range(TOKEN_STEPS):
        excess, slope, _ = student_term(N_S, ops.exp(s), L_T, law, ops)
        too_few = excess > wanted
        low, high = ops.where(too_few, s, low), ops.where(too_few, high, s)
        # Far from the answer the exponential overflows; a step that long ends in the bracket all the same.
        ratio = ops.exp(ops.minimum((wanted - excess) / gamma, 300.0))
        shrink = 1.0 + beta * gamma / slope * (1.0 - ratio)
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

    Parameters
    ----------
    N_S : float
        Non-embedding parameters of the student.
    C : float
        FLOPs to spend; ignored with a target loss.
    law : dict
        Coefficients of a distillation law.
    deltas : tuple of float
        The part of the teacher's logits and of its training that is charged, as in ``SCENARIOS``.
    context, vocabulary : int
        Tokens of context, and of the vocabulary.
    D_S_bounds, N_T_bounds, D_T_bounds : tuple of float
        Least and most of the unknowns.
    target_loss : float, optional
        Wanted L_S.
    ops : module
        ``numpy`` for arrays; ``N_S``, ``C`` and ``target_loss`` then broadcast.

    Returns
    -------
    dict
        L_S, D_S, N_T, D_T, L_T, C (what the plan spends), and whether there is a plan: ``feasible``.
    """
    base = law["supervised"]
    terms = flop_terms(context, vocabulary)
    ranges = term_ranges(base, N_T_bounds, D_T_bounds)
    delta_logits, delta_pretraining = deltas
    F_S = forward_flops(N_S, context, vocabulary)
    D_low, D_high = D_S_bounds

    def teacher(z: Number, t: Number, tokens: Number, steps: int = NEWTON_STEPS) -> Number:
        return cheapest_teacher(z, t, tokens, base, deltas, terms, ranges, steps, ops)

    def within_budget(F_T: Number, D_T: Number) -> Number:
        affordable = (C - 3.0 * delta_pretraining * F_T * D_T) / (3.0 * F_S + delta_logits * F_T)
        return ops.minimum(ops.maximum(affordable, D_low), D_high)

    def bill(F_T: Number, D_S: Number, D_T: Number) -> Number:
        return 3.0 * F_S * D_S + F_T * (delta_logits * D_S + 3.0 * delta_pretraining * D_T)

    def student_loss(z: Number, t: Number) -> Number:
        """Return the row (L_S, slope, z, t) of the best student whose teacher has the loss E + e^z."""
        above_E = ops.exp(z)
        L_T = base["E"] + above_E
        F_T, _, D_T, t, cost_slope = teacher(z, t, within_budget)
        D_S = within_budget(F_T, D_T)
        term, by_tokens, by_teacher = student_term(N_S, D_S, L_T, law, ops)
        gain = ops.exp(term)
        capped = D_high <= D_S
        tokens_slope = ops.where(capped, 0.0, -cost_slope / (3.0 * F_S + delta_logits * F_T))
        slope = (1.0 + gain * by_teacher / L_T) * above_E + gain * by_tokens * tokens_slope / D_S
        return L_T + gain, slope, z, t

    def least_bill(z: Number, t: Number) -> Number:
        """Return the cost of the teacher of loss E + e^z for the fewest student tokens, its slope, and t."""
        F_T, _, D_T, t, cost_slope = teacher(z, t, lambda F_T, D_T: D_low)
        return bill(F_T, D_low, D_T), cost_slope, t

    def tokens_wanted(z: Number) -> Number:
        return tokens_for_loss(N_S, base["E"] + ops.exp(z), target_loss, law, D_S_bounds, ops)

    def cost(z: Number, t: Number) -> Number:
        """Return the row (ln C, slope, z, t) of the cheapest way to the target with the teacher loss E + e^z.

        Near the floor few teachers will do; by how much the others miss leads the search to them.
        """
        above_E = ops.exp(z)
        L_T = base["E"] + above_E
        wanted = tokens_wanted(z)
        possible = wanted < math.inf
        D_S = ops.minimum(ops.maximum(wanted, D_low), D_high)
        F_T, _, D_T, t, cost_slope = teacher(z, t, lambda F_T, D_T: D_S)
        term, by_tokens, by_teacher = student_term(N_S, D_S, L_T, law, ops)
        gain = ops.exp(term)
        loss_slope = (1.0 + gain * by_teacher / L_T) * above_E
        spent = bill(F_T, D_S, D_T)
        tokens_slope = ops.where(wanted > D_low * (1.0 + 1e-12), -loss_slope / (gain * by_tokens) * D_S, 0.0)
        slope = (cost_slope + (3.0 * F_S + delta_logits * F_T) * tokens_slope) / spent
        missed_by = L_T + gain - target_loss
        return (
            ops.where(possible, ops.log(spent), OUT_OF_REACH + missed_by),
            ops.where(possible, slope, loss_slope),
            z,
            t,
        )

    # From weak to strong teachers, as far as they can be paid for.
    top = math.log(supervised_loss(N_T_bounds[0], D_T_bounds[0], base) - base["E"])
    bottom = math.log(supervised_loss(N_T_bounds[1], D_T_bounds[1], base) - base["E"])
    if target_loss is None:
        bottom, feasible = strongest_teacher(least_bill, C, top, bottom, 0.0 * F_S, ops)
        parts = [1.0 - i / TEACHER_SCAN for i in range(TEACHER_SCAN)]
        if delta_logits + delta_pretraining > 0.0:  # D_S drops to nothing at the last one: close in on it
            parts += [0.5**i / TEACHER_SCAN for i in range(1, EDGE_SCAN)]
        parts.append(0.0)
        grid = [bottom + (top - bottom) * part for part in parts]
        _, _, z, t = lowest_point(student_loss, grid, 0.0 * F_S, ops)
        tokens = within_budget
    else:
        least = math.exp(bottom) * 1.001  # the student stays above its teacher: L_T < target_loss
        top = ops.minimum(top, ops.log(ops.maximum(target_loss - base["E"], least)))
        grid = [top + (bottom - top) * i / TEACHER_SCAN for i in range(TEACHER_SCAN + 1)]
        value, _, z, t = lowest_point(cost, grid, 0.0 * F_S, ops)
        feasible = value < OUT_OF_REACH
        D_S = ops.minimum(ops.maximum(tokens_wanted(z), D_low), D_high)

        def tokens(F_T: Number, D_T: Number) -> Number:
            return D_S

    N_T, D_T = teacher(z, t, tokens, 2 * NEWTON_STEPS)[1:3]
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
        "feasible": feasible,
    }
