"""What the capacity gap of kernel regression owes to the norms, as drawn."""

import numpy as np
import pytest

from distill_lib import figures


def test_the_kernel_gap_is_drawn_as_the_closed_form_says():
    _, axes = figures.kernel_gap_by_norms(norms=(4.5, 5.0), draws=4)
    lines = {line.get_label(): line.get_data() for line in axes[0].lines if len(line.get_xdata()) > 1}
    x, y = lines["$D$ = 4.5"]
    flat = x[np.isclose(y, 0.0, atol=1e-9)]
    assert (flat.min(), flat.max()) == (pytest.approx(1.0, abs=0.01), pytest.approx(1.235, rel=0.05))
    x, y = lines["$D$ = 5 = $T$"]
    assert np.isclose(y, 0.0, atol=1e-9).sum() <= 3
    students, rises = axes[1].lines[0].get_data()
    assert rises[list(students).index(300)] == pytest.approx(0.68, abs=0.03)
    assert rises[-1] == pytest.approx(0.0, abs=1e-9)
    # A bound that no teacher feels leaves no gap.
    top, without = axes[2].lines[0].get_data()
    assert top[-1] == 20.0
    assert without[-1] == pytest.approx(0.0, abs=1e-9)
