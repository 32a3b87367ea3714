"""One function per figure of the paper, and those of our own; all in one style.

A figure function takes laws and tables and returns a matplotlib figure with its axes; it trains nothing
and computes nothing that a chapter could not name. ``figNN_...`` is Figure NN of the paper.
"""

from distill_lib.figures.advantage import (
    fig06_advantage_over_tokens,
    fig13_advantage_over_teachers,
    fig14_advantage_over_compute,
)
from distill_lib.figures.auditing import (
    errors_at_points,
    isoflops_under_readings,
    tokens_under_readings,
    what_a_fit_can_see,
    windows_of_B,
)
from distill_lib.figures.by_scenario import (
    fig17_compute_optimal_loss,
    fig18_optimal_teacher_loss,
    fig30_optimal_student_tokens,
    fig31_optimal_teacher_tokens,
    fig32_optimal_teacher_size,
)
from distill_lib.figures.calibration import (
    fig42_teacher_calibration,
    fig43_student_calibration,
    fig44_student_against_top_token,
    fig45_teacher_within_student_bins,
    fig46_student_within_teacher_bins,
    fig47_student_calibration_after_more,
    fig48_student_against_top_token_after_more,
    fig49_teacher_within_student_bins_after_more,
    fig50_student_within_teacher_bins_after_more,
)
from distill_lib.figures.capacity_gap import (
    differences_from_the_best_teacher,
    fig04_capacity_gap,
    fig37_gap_and_divergence,
)
from distill_lib.figures.compute_optimal import distillation_advantage, fig08_compute_optimal_loss
from distill_lib.figures.counting import (
    bill_of_a_distillation,
    compute_optimal_by_two_counts,
    error_of_6ND,
    ladder_against_table,
    where_forward_flops_go,
)
from distill_lib.figures.distillation_loss import (
    bugs_and_checks,
    gradient_on_tokens,
    mass_under_truncation,
    memory_by_tokens,
    mixing_and_excess,
    reading_a_log,
    scale_of_jensen_shannon,
    students_side_by_side,
    temperature_and_balance,
    truncation_by_kept,
)
from distill_lib.figures.fitting import (
    coefficients_compared,
    fig05_predicted_against_observed,
    fit_report,
    ridge_of_draws,
    spectra_of_curvature,
)
from distill_lib.figures.isoflop import isoflop_profiles, profile_bias
from distill_lib.figures.isoflop_runs import (
    fig02_student_isoflops,
    fig03a_teacher_isoflops,
    fig03b_teacher_loss_alone,
    fig36_supervised_runs,
    fig39_optima,
)
from distill_lib.figures.kernel_regression import fig10_kernel_regression, kernel_gap_by_norms
from distill_lib.figures.ladder import depth_and_width, learning_curves
from distill_lib.figures.laws_of_runs import break_of_runs, errors_of_teachers, profiles_of_E
from distill_lib.figures.learning_rates import fig53_learning_rates, learning_rate_transfer
from distill_lib.figures.limits import fig36_supervised_curves, fig40_infinite_data
from distill_lib.figures.mapping_problem import (
    fig11_mapping_by_teacher_width,
    fig12_mapping_by_teacher_steps,
    mapping_by_kind_of_case,
    mapping_by_teacher_loss,
)
from distill_lib.figures.model_tests import (
    coverage_of_intervals,
    forms_compared,
    losses_with_bands,
    students_against_teachers,
)
from distill_lib.figures.optimal_contours import (
    fig19_best_case_contours,
    fig21_teacher_inference_contours,
    fig24_teacher_pretraining_contours,
    fig27_pretraining_inference_contours,
)
from distill_lib.figures.optimal_quantities import (
    fig09_optimal_configuration,
    fig20_best_case_quantities,
    fig22_teacher_inference_quantities,
    fig25_teacher_pretraining_quantities,
    fig28_pretraining_inference_quantities,
)
from distill_lib.figures.own_runs import paired_students, supervised_grid
from distill_lib.figures.plan_charts import plan_charts
from distill_lib.figures.ratios import fig33_compute_ratio, fig34_token_ratio
from distill_lib.figures.sensitivity import (
    distil_first_then_switch,
    fig41_long_students,
    fig51a_mixing,
    fig51b_best_mixing,
    fig52_temperature,
    fig54_truncation,
    table07_directions,
)
from distill_lib.figures.shares import (
    fig23_teacher_inference_shares,
    fig26_teacher_pretraining_shares,
    fig29_pretraining_inference_shares,
)
from distill_lib.figures.student_loss import fig01_student_against_teacher
from distill_lib.figures.teacher_choice import (
    fig07_student_loss_by_teacher,
    fig15_student_loss_by_tokens,
    fig16_student_loss_by_teacher_size,
)
from distill_lib.figures.where_loss_is import fig35_scores_against_loss, loss_by_token_frequency
from distill_lib.scaling.wording import count

__all__ = [
    "bill_of_a_distillation",
    "break_of_runs",
    "bugs_and_checks",
    "coefficients_compared",
    "compute_optimal_by_two_counts",
    "count",
    "coverage_of_intervals",
    "depth_and_width",
    "differences_from_the_best_teacher",
    "distil_first_then_switch",
    "distillation_advantage",
    "error_of_6ND",
    "errors_at_points",
    "errors_of_teachers",
    "fig01_student_against_teacher",
    "fig02_student_isoflops",
    "fig03a_teacher_isoflops",
    "fig03b_teacher_loss_alone",
    "fig04_capacity_gap",
    "fig05_predicted_against_observed",
    "fig06_advantage_over_tokens",
    "fig07_student_loss_by_teacher",
    "fig08_compute_optimal_loss",
    "fig09_optimal_configuration",
    "fig10_kernel_regression",
    "fig11_mapping_by_teacher_width",
    "fig12_mapping_by_teacher_steps",
    "fig13_advantage_over_teachers",
    "fig14_advantage_over_compute",
    "fig15_student_loss_by_tokens",
    "fig16_student_loss_by_teacher_size",
    "fig17_compute_optimal_loss",
    "fig18_optimal_teacher_loss",
    "fig19_best_case_contours",
    "fig20_best_case_quantities",
    "fig21_teacher_inference_contours",
    "fig22_teacher_inference_quantities",
    "fig23_teacher_inference_shares",
    "fig24_teacher_pretraining_contours",
    "fig25_teacher_pretraining_quantities",
    "fig26_teacher_pretraining_shares",
    "fig27_pretraining_inference_contours",
    "fig28_pretraining_inference_quantities",
    "fig29_pretraining_inference_shares",
    "fig30_optimal_student_tokens",
    "fig31_optimal_teacher_tokens",
    "fig32_optimal_teacher_size",
    "fig33_compute_ratio",
    "fig34_token_ratio",
    "fig35_scores_against_loss",
    "fig36_supervised_curves",
    "fig36_supervised_runs",
    "fig37_gap_and_divergence",
    "fig39_optima",
    "fig40_infinite_data",
    "fig41_long_students",
    "fig42_teacher_calibration",
    "fig43_student_calibration",
    "fig44_student_against_top_token",
    "fig45_teacher_within_student_bins",
    "fig46_student_within_teacher_bins",
    "fig47_student_calibration_after_more",
    "fig48_student_against_top_token_after_more",
    "fig49_teacher_within_student_bins_after_more",
    "fig50_student_within_teacher_bins_after_more",
    "fig51a_mixing",
    "fig51b_best_mixing",
    "fig52_temperature",
    "fig53_learning_rates",
    "fig54_truncation",
    "fit_report",
    "forms_compared",
    "gradient_on_tokens",
    "isoflop_profiles",
    "isoflops_under_readings",
    "kernel_gap_by_norms",
    "ladder_against_table",
    "learning_curves",
    "learning_rate_transfer",
    "loss_by_token_frequency",
    "losses_with_bands",
    "mapping_by_kind_of_case",
    "mapping_by_teacher_loss",
    "mass_under_truncation",
    "memory_by_tokens",
    "mixing_and_excess",
    "paired_students",
    "plan_charts",
    "profile_bias",
    "profiles_of_E",
    "reading_a_log",
    "ridge_of_draws",
    "scale_of_jensen_shannon",
    "spectra_of_curvature",
    "students_against_teachers",
    "students_side_by_side",
    "supervised_grid",
    "table07_directions",
    "temperature_and_balance",
    "tokens_under_readings",
    "truncation_by_kept",
    "what_a_fit_can_see",
    "where_forward_flops_go",
    "windows_of_B",
]
