"""The mixture fits as well as a well-known one, and knows the densities it was made from."""

from __future__ import annotations

import numpy as np
import pytest

from annofree.refine.mixture import Mixture


def drawn(seed: int, kinds: int = 4, each: int = 1500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    means, shapes = rng.normal(0, 2, (kinds, 4)), rng.normal(0, 0.6, (kinds, 4, 4))
    return np.concatenate([m + rng.normal(size=(each, 4)) @ a for m, a in zip(means, shapes, strict=True)])


@pytest.mark.parametrize("seed", range(4))
def test_it_fits_as_well_as_scikit_learn(seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.mixture")
    points = drawn(seed)
    theirs = sklearn.GaussianMixture(4, random_state=0, reg_covar=0.02, max_iter=50).fit(points)
    ours = Mixture.fit(points, 4, ridge=0.02)
    assert ours.log_likelihood(points).mean() > theirs.score(points) - 0.02
    assert np.allclose(
        ours.log_likelihood(points[:100]), Mixture.fit(points, 4, ridge=0.02).log_likelihood(points)[:100]
    )


def test_one_gaussian_is_the_sample_mean_and_covariance() -> None:
    points = drawn(0, kinds=1)
    one = Mixture.fit(points, 1, ridge=0.0)
    offset = points - points.mean(axis=0)
    inverse = np.linalg.inv(offset.T @ offset / len(points))
    expected = -0.5 * (np.einsum("ni,ij,nj->n", offset, inverse, offset) - np.linalg.slogdet(inverse)[1])
    expected -= 2.0 * np.log(2.0 * np.pi)
    np.testing.assert_allclose(one.log_likelihood(points), expected, rtol=1e-8)


def test_equal_points_and_no_points_make_no_trouble() -> None:
    flat = Mixture.fit(np.ones((50, 3)), 2, ridge=0.02)
    assert np.isfinite(flat.log_likelihood(np.ones((2, 3)))).all()
    assert flat.log_likelihood(np.empty((0, 3))).shape == (0,)
