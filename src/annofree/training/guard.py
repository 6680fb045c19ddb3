"""One broken batch must not break a network."""

from __future__ import annotations

from typing import Any

import torch


def step_if_finite(optimiser: Any) -> bool:
    """Take an optimiser's step unless a gradient is no finite number: it would turn every weight into NaN.

    The step is then left out, and the moments that the optimiser keeps stay what they were. Processes that share
    their gradients decide alike. Returns whether the step was taken.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if gradients and not bool(torch.stack([torch.isfinite(gradient).all() for gradient in gradients]).all()):
        return False
    optimiser.step()
    return True
