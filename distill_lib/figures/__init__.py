"""One function per figure of the paper, and those of our own; all in one style.

A figure function takes laws and tables and returns a matplotlib figure with its axes; it trains nothing
and computes nothing that a chapter could not name. ``figNN_...`` is Figure NN of the paper.
"""

from distill_lib.figures.compute_optimal import distillation_advantage, fig08_compute_optimal_loss
from distill_lib.figures.own_runs import paired_students, supervised_grid
from distill_lib.figures.student_loss import fig01_student_against_teacher
from distill_lib.figures.style import count

__all__ = [
    "count",
    "distillation_advantage",
    "fig01_student_against_teacher",
    "fig08_compute_optimal_loss",
    "paired_students",
    "supervised_grid",
]
