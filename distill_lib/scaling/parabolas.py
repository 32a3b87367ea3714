"""Parabolas through loss against ln N, fitted by the thousand at once: the core of IsoFLOP profiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_SIZES = 4
"""Sizes that a profile needs: one more than a parabola takes, to leave something to judge it by."""

_STEPS, _SETTLED = 300, 1e-9
_OFF_BUDGET = 0.01  # where ln C strays further than this within a profile, its slope is fitted along
_ENOUGH_FOR_SLOPE = 7  # sizes
_APART = 0.3  # share of that straying that must not follow the size, else the two slopes are one
_FAR = 30.0  # distance in ln N beyond which a parabola is as good as straight


@dataclass(frozen=True)
class Minima:
    """Lowest points of many parabolas through one profile.

    Parameters
    ----------
    log_N : numpy.ndarray
        ln N of each minimum, shape [fits]; NaN where the parabola has none.
    L : numpy.ndarray
        Its loss, nats per token, shape [fits].
    theta : numpy.ndarray
        Coefficients in powers of ln N - centre, and of ln C / budget where that was fitted, shape [fits, 3 or 4].
    """

    log_N: np.ndarray
    L: np.ndarray
    theta: np.ndarray


class Profile:
    """The sizes of one profile, through which many parabolas are fitted at once.

    Parameters
    ----------
    N : numpy.ndarray
        Non-embedding parameters, shape [runs].
    off_budget : numpy.ndarray, optional
        Compute of each run over the budget, shape [runs]; once it strays, its slope is fitted along, if there
        are sizes enough.

    Attributes
    ----------
    centre : float
        Middle of the sizes in ln N; coefficients are in powers of ln N - centre.
    drifts : bool
        Whether compute strays from the budget in step with size, which no fit can tell from the profile itself.

    Raises
    ------
    ValueError
        For fewer than four sizes.
    """

    def __init__(self, N: np.ndarray, off_budget: np.ndarray | None = None) -> None:
        log_N, sizes = np.log(N), np.unique(N)
        if sizes.size < LEAST_SIZES:
            raise ValueError(
                f"N has {sizes.size} distinct sizes; a profile needs {LEAST_SIZES} at least: add runs"
            )
        self.centre = 0.5 * float(log_N.min() + log_N.max())
        self.x = log_N - self.centre
        self.design = np.stack([np.ones_like(self.x), self.x, self.x**2], axis=1)
        self.drifts = False
        off = np.zeros_like(self.x) if off_budget is None else np.log(off_budget)
        if np.abs(off).max() > _OFF_BUDGET and sizes.size >= _ENOUGH_FOR_SLOPE:
            basis, _ = np.linalg.qr(self.design)
            apart = off - basis @ (basis.T @ off)
            self.drifts = bool(np.linalg.norm(apart) < _APART * np.linalg.norm(off - off.mean()))
            if not self.drifts:
                self.design = np.column_stack([self.design, off])
        self.needed = self.design.shape[1] + 1  # sizes, one more than coefficients
        self.products = (self.design[:, :, None] * self.design[:, None, :]).reshape(len(N), -1)
        self.is_size = (N[:, None] == sizes[None, :]).astype(float)

    def minima(
        self,
        L: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        delta: float = 3e-3,
        reach: float | None = None,
    ) -> Minima:
        """Fit a parabola in ln N to each row of losses or weights, and find its lowest point.

        Parameters
        ----------
        L : numpy.ndarray
            Losses, nats per token, shape [runs] or [fits, runs].
        weights : numpy.ndarray, optional
            How often each run counts, shape [fits, runs]; once by default.
        delta : float
            Width of the Huber loss, as a share of the loss.
        reach : float, optional
            Half-width in ln N of weights around the parabola's own minimum; without it all sizes count.

        Returns
        -------
        Minima
            One per row.
        """
        y, counts = np.broadcast_arrays(np.atleast_2d(L), 1.0 if weights is None else np.atleast_2d(weights))
        scale = np.median(y, axis=1, keepdims=True)
        y = y / scale
        theta = self._solve(y, counts)
        theta = self._iterate(y, counts, theta, delta, None)
        if reach is not None:
            theta = self._iterate(y, counts, theta, delta, reach)
        vertex = _vertex(theta)
        lowest = theta[:, 0] + 0.5 * theta[:, 1] * vertex
        return Minima(vertex + self.centre, lowest * scale[:, 0], theta * scale)

    def resamples(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw how often each run counts when runs are drawn with replacement.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the draws.
        count : int
            How many resamples.

        Returns
        -------
        numpy.ndarray
            Shape [resamples, runs]; those with too few sizes for a parabola are drawn again.
        """
        runs = len(self.x)
        share = np.full(runs, 1.0 / runs)
        drawn = rng.multinomial(runs, share, size=count)
        while (poor := ((drawn @ self.is_size) > 0).sum(axis=1) < self.needed).any():
            drawn[poor] = rng.multinomial(runs, share, size=int(poor.sum()))
        return drawn.astype(float)

    def _iterate(
        self, y: np.ndarray, counts: np.ndarray, theta: np.ndarray, delta: float, reach: float | None
    ) -> np.ndarray:
        """Reweight and solve until the coefficients settle; rows that lose their minimum end as NaN."""
        theta, active = theta.copy(), np.arange(len(y))
        place = np.zeros(len(y))
        if reach is not None:
            place = self._place(theta)
            active = np.flatnonzero(np.isfinite(place))
            theta[np.isnan(place)] = np.nan
        for _ in range(_STEPS):
            if not active.size:
                break
            now = theta[active]
            # Huber weights: residuals beyond delta pull with a constant force.
            weight = counts[active] / np.maximum(1.0, np.abs(y[active] - now @ self.design.T) / delta)
            if reach is not None:
                distance = np.abs(self.x - place[active, None]) / reach
                weight = weight * np.maximum(0.0, 1.0 - distance**3) ** 3
            new = self._solve(y[active], weight)
            step = np.abs(new - now).max(axis=1)
            theta[active] = new
            moved = step
            if reach is not None:
                now_at = self._place(new)
                moved = np.maximum(step, np.abs(now_at - place[active]))
                place[active] = now_at
            active = active[~(moved <= _SETTLED) & np.isfinite(moved)]
        return theta

    def _place(self, theta: np.ndarray) -> np.ndarray:
        """Return where to centre the weights: the minimum, or the end of the profile nearest to it."""
        return np.clip(_vertex(theta), self.x.min(), self.x.max())

    def _solve(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Solve the weighted least squares of every row; NaN where too few sizes have weight."""
        size = self.design.shape[1]
        counted = weight > 1e-6 * weight.max(axis=1, keepdims=True)  # at the very edge, a size fixes nothing
        enough = ((counted @ self.is_size) > 0).sum(axis=1) >= self.needed
        theta = np.full((len(y), size), np.nan)
        if enough.any():
            left = (weight[enough] @ self.products).reshape(-1, size, size)
            right = (weight[enough] * y[enough]) @ self.design
            theta[enough] = np.linalg.solve(left, right[..., None])[..., 0]
        return theta


def _vertex(theta: np.ndarray) -> np.ndarray:
    """Return the place of each minimum in ln N - centre; NaN where there is none, or it is out of sight."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        vertex = -theta[:, 1] / (2.0 * theta[:, 2])
        return np.where((theta[:, 2] > 0.0) & (np.abs(vertex) < _FAR), vertex, np.nan)
