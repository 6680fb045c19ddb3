"""Gradients of an upper problem whose lower problem is solved by a network: three ways, from cheap to faithful.

Lower: `theta*(phi) = argmin L(theta, phi)`. Upper: `F(theta*(phi), phi)`. The whole gradient is

    dF/dphi = F_phi - L_phi,theta (L_theta,theta)^-1 F_theta

`first_order` keeps the first term only, as BLOGRR published it. `unrolled` differentiates through a few gradient steps
of the lower problem (Franceschi et al., ICML 2017). `implicit` solves the linear system by conjugate gradients with
Hessian-vector products (Pedregosa, ICML 2016; Rajeswaran et al., NeurIPS 2019).

Each gives the gradient by the name of the upper parameter, and F. `upper` is F, `lower` is L, `reduce` sums gradients
over processes, all of which must be given the same L.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import grad, grad_and_value

Params = dict[str, Tensor]
"""Parameters of a network by name."""

Loss = Callable[[Params, Params], Tensor]
"""From lower and upper parameters to a scalar."""

Reduce = Callable[[Params], Params]
"""Sums gradients over processes."""


def _alone(gradient: Params) -> Params:
    return gradient


def first_order(upper: Loss, theta: Params, phi: Params, *, reduce: Reduce = _alone) -> tuple[Params, Tensor]:
    """The direct term only: the lower solution is taken as fixed.

    Plain reverse mode, so that layers which update buffers (batch norm) may be used.
    """
    leaves = {name: value.detach().requires_grad_() for name, value in phi.items()}
    value = upper(_frozen(theta), leaves)
    found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    gradient = {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(leaves.items(), found, strict=True)}
    return reduce(gradient), value.detach()


def unrolled(
    upper: Loss, lower: Sequence[Loss], theta: Params, phi: Params, *, rate: float, reduce: Reduce = _alone
) -> tuple[Params, Tensor]:
    """Through `len(lower)` plain gradient steps of length `rate` of the lower problem, all of which stay in memory.

    Each step has an L of its own, for instance a batch; F is that after the steps, which change nothing given.
    """
    start = _frozen(theta)

    def after(upper_parameters: Params) -> Tensor:
        inner = start
        for loss in lower:
            slope = grad(loss)(inner, upper_parameters)
            inner = {name: value - rate * slope[name] for name, value in inner.items()}
        return upper(inner, upper_parameters)

    gradient, value = grad_and_value(after)(_frozen(phi))
    return reduce(gradient), value.detach()


def implicit(
    upper: Loss,
    lower: Loss,
    theta: Params,
    phi: Params,
    *,
    damping: float = 1e-2,
    iterations: int = 10,
    tolerance: float = 1e-10,
    reduce: Reduce = _alone,
) -> tuple[Params, Tensor]:
    """By the implicit function theorem at `theta`, which should be near the lower minimum.

    Args:
        upper: F.
        lower: L, on as much data as can be afforded.
        theta: Lower parameters.
        phi: Upper parameters.
        damping: Added to the Hessian's diagonal: networks have flat and negative directions.
        iterations: Most steps of conjugate gradients; each costs about two gradients of L. The solution so far is kept
            where the Hessian turns out not to be positive.
        tolerance: Relative squared residual at which the solution is good enough.
        reduce: Sums gradients over processes.
    """
    theta, phi = _frozen(theta), _frozen(phi)
    (by_theta, by_phi), value = grad_and_value(upper, argnums=(0, 1))(theta, phi)
    by_theta, by_phi = reduce(by_theta), reduce(by_phi)

    def curvature(direction: Params) -> Params:
        product = grad(lambda t: _dot(grad(lower)(t, phi), direction))(theta)
        return {name: product[name] + damping * direction[name] for name in product}

    solution = _conjugate_gradients(curvature, by_theta, iterations, tolerance)
    through = grad(lambda p: _dot(grad(lower)(theta, p), solution))(phi)
    return {name: by_phi[name] - through[name] for name in by_phi}, value.detach()


def _conjugate_gradients(
    matrix: Callable[[Params], Params], right: Params, iterations: int, tolerance: float
) -> Params:
    solution = {name: torch.zeros_like(value) for name, value in right.items()}
    residual = dict(right)
    direction = dict(right)
    size = first = float(_dot(residual, residual))
    for _ in range(iterations):
        if size <= tolerance * first or size == 0.0:
            break
        image = matrix(direction)
        curvature = float(_dot(direction, image))
        if curvature <= 0.0:
            break
        step = size / curvature
        solution = {name: solution[name] + step * direction[name] for name in solution}
        residual = {name: residual[name] - step * image[name] for name in residual}
        before, size = size, float(_dot(residual, residual))
        direction = {name: residual[name] + size / before * direction[name] for name in residual}
    return solution


def _dot(one: Params, other: Params) -> Tensor:
    return torch.stack([(one[name] * other[name]).sum() for name in one]).sum()


def _frozen(params: Params) -> Params:
    return {name: value.detach() for name, value in params.items()}
