"""Mixtures of a few Gaussians, fitted to thousands of points in a hundredth of a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

#: Rounds of the k-means that the fit starts from, and of expectation-maximisation.
_START_ROUNDS, _ROUNDS = 30, 50
#: The fit ends when the mean log-likelihood of a point rises by less than this.
_LEAST_RISE = 1e-3
#: Points scored at once, so that their distances stay in the processor's cache.
_TOGETHER = 16_384


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians with full covariances.

    Attributes:
        log_weights: (K,) natural logarithm of each Gaussian's share.
        means: (K, C).
        whiten: (K, C, C) upper-triangular W with W W^T the inverse covariance.
    """

    log_weights: Points
    means: Points
    whiten: Points

    @classmethod
    def fit(cls, points: Points, kinds: int, *, ridge: float) -> Self:
        """Maximum likelihood by expectation-maximisation (Dempster et al. 1977), from a k-means of the points (N, C).

        Nothing is drawn: a few other points among thousands change little. `ridge` is added to
        the diagonal of every covariance.
        """
        groups = _k_means(points, kinds)
        share: Points = (groups[:, None] == np.arange(kinds)).astype(np.float64)
        before = -np.inf
        found = cls._maximise(points, share, ridge)
        for _ in range(_ROUNDS):
            joint = found._joint(points)
            total = _log_of_sum(joint)
            mean = float(total.mean())
            if mean - before < _LEAST_RISE:
                break
            before = mean
            found = cls._maximise(points, np.exp(joint - total[:, None]), ridge)
        return found

    @classmethod
    def _maximise(cls, points: Points, share: Points, ridge: float) -> Self:
        count = share.sum(axis=0) + 1e-9
        means = (share.T @ points) / count[:, None]
        whiten = np.empty((share.shape[1], points.shape[1], points.shape[1]))
        for kind, (own, middle) in enumerate(zip(share.T, means, strict=True)):
            offset = points - middle
            covariance = (offset * own[:, None]).T @ offset / count[kind] + ridge * np.eye(points.shape[1])
            whiten[kind] = np.linalg.inv(np.linalg.cholesky(covariance)).T
        return cls(np.log(count / count.sum()), means, whiten)

    def _joint(self, points: Points) -> Points:
        """Log of share times density, (N, K)."""
        out = np.empty((len(self.means), len(points))).T  # a Gaussian after the other in memory
        for kind, (weight, middle, white) in enumerate(zip(self.log_weights, self.means, self.whiten, strict=True)):
            scale = np.log(np.diag(white)).sum() - 0.5 * points.shape[1] * np.log(2.0 * np.pi) + weight
            away = points @ white - middle @ white
            out[:, kind] = scale - 0.5 * np.einsum("nc,nc->n", away, away)
        return out

    def log_likelihood(self, points: Points) -> Points:
        """Log-density of each point, (N,)."""
        parts = [points[first : first + _TOGETHER] for first in range(0, len(points), _TOGETHER)]
        return np.concatenate([_log_of_sum(self._joint(part)) for part in parts] or [np.empty(0)])


def _log_of_sum(logarithms: Points) -> Points:
    """Logarithm of the sum over the second axis, (N, K) to (N,); five times as fast as `np.logaddexp.reduce`."""
    largest = logarithms.max(axis=1)
    total = np.zeros_like(largest)
    for column in logarithms.T:
        total += np.exp(column - largest)
    out: Points = largest + np.log(total)
    return out


def _k_means(points: Points, kinds: int) -> NDArray[np.intp]:
    """Group of each point, (N,), by k-means that begins with equal parts along the points' principal axis."""
    offset = points - points.mean(axis=0)
    along = offset @ np.linalg.eigh(offset.T @ offset).eigenvectors[:, -1]
    groups: NDArray[np.intp] = np.argsort(np.argsort(along, kind="stable"), kind="stable") * kinds // len(points)
    centres = np.zeros((kinds, points.shape[1]))
    for _ in range(_START_ROUNDS):
        share = (groups[:, None] == np.arange(kinds)).astype(np.float64)
        count = share.sum(axis=0)[:, None]
        centres = np.where(count > 0, share.T @ points / np.maximum(count, 1.0), centres)
        groups, before = _squared(points, centres).argmin(axis=1), groups
        if np.array_equal(groups, before):
            break
    return groups


def _squared(points: Points, centres: Points) -> Points:
    """Squared distances, (N, K)."""
    out: Points = np.square(points).sum(axis=1)[:, None] - 2.0 * points @ centres.T + np.square(centres).sum(axis=1)
    return np.maximum(out, 0.0)
