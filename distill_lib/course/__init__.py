"""Checkers for the exercises: each says what is right, and gives a hint for what is not."""

from distill_lib.course.losses import check_kd_gradient, check_kd_loss
from distill_lib.course.report import Report

__all__ = ["Report", "check_kd_gradient", "check_kd_loss"]
