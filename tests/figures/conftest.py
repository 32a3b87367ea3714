"""Laws to draw with, and readers of what was drawn."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.contour import QuadContourSet

import distill_lib as dl

mpl.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def law():
    return dl.published_law()


@pytest.fixture(scope="session")
def printed():
    return dl.published_law("printed")


class Drawn:
    """What a panel shows: its labelled lines, its labelled contours and its maps."""

    def __init__(self, ax):
        self.ax = ax

    @property
    def lines(self):
        """Label -> (x, y) of lines with a label of their own."""
        return {
            line.get_label(): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
            for line in self.ax.lines
            if not line.get_label().startswith("_")
        }

    def line(self, color):
        """Return x and y of the first line of a colour."""
        found = next(line for line in self.ax.lines if line.get_color() == color)
        return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())

    @property
    def contours(self):
        """(level, x, y) of contour points, of the panel's last set of solid contours with several levels."""
        drawn = [
            c
            for c in self.ax.collections
            if isinstance(c, QuadContourSet) and not c.filled and len(c.levels) > 1
        ]
        return [
            (level, *point)
            for level, path in zip(drawn[-1].levels, drawn[-1].get_paths(), strict=True)
            for point in path.vertices[:: max(1, len(path.vertices) // 4)]
        ]

    @property
    def break_even(self):
        """Points of the zero contour."""
        drawn = [c for c in self.ax.collections if isinstance(c, QuadContourSet) and list(c.levels) == [0.0]]
        return [point for path in drawn[0].get_paths() for point in path.vertices]

    @property
    def map(self):
        """Values of the coloured map, shape [y, x]."""
        mesh = next(c for c in self.ax.collections if isinstance(c, QuadMesh))
        return np.asarray(mesh.get_array())


@pytest.fixture(scope="session")
def drawn():
    return Drawn
