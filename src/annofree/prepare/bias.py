"""The step that takes the coils' slow shading off."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annofree.anatomy.information import itk_image, one_thread, simpleitk
from annofree.preparation import StepRecord
from annofree.prepare.work import Work
from annofree.scan import Grid
from annofree.settings import Settings


class CorrectBias(Settings):
    """N4 (Tustison et al., IEEE TMI 29(6), 2010) on a grid shrunk in plane only; a thick axis is never shrunk.

    The field is one smooth factor inside the brain; dividing by it is undone by multiplying, and masks do not change.

    Attributes:
        mode: "off", or "n4".
        spacing_mm: Voxels in which the field is found.
        knot_mm: Distance of the spline's knots: far wider than a tumour, so that none is flattened.
        iterations: At each of the levels.
    """

    mode: Literal["off", "n4"] = "off"
    spacing_mm: float = 4.0
    knot_mm: float = 160.0
    iterations: tuple[int, ...] = (30, 20)

    def __call__(self, work: Work) -> Work:
        """Correct every sequence."""
        if self.mode == "off":
            return work
        assert work.brain is not None
        images, spread = {}, {}
        for name, image in work.images.items():
            field = bias_field(image, work.brain, work.grids[name], self)
            images[name] = (image / field).astype(np.float32)
            inside = field[work.brain]
            spread[f"{name} shading_part"] = float(np.quantile(inside, 0.95) / np.quantile(inside, 0.05) - 1.0)
        told = ", ".join(f"{name.split()[0]} {part:.0%}" for name, part in spread.items())
        warnings = tuple(
            f"{name.split()[0]} is shaded by {part:.0%}; look at it" for name, part in spread.items() if part > 1.0
        )
        record = StepRecord("bias field", f"Slow shading was divided out: {told}.", self.model_dump(), spread, warnings)
        return work.after(record, images=images)


def bias_field(
    image: NDArray[np.float32], brain: NDArray[np.bool_], grid: Grid, settings: CorrectBias
) -> NDArray[np.float32]:
    """The smooth factor of an image, (X, Y, Z) as its brain mask, of mean 1 over the brain."""
    sitk = simpleitk()
    shrink = [max(1, int(settings.spacing_mm // spacing)) for spacing in grid.spacing_mm]
    with one_thread():
        # N4 takes logarithms: grey levels at or below 0 are noise, and count as the least positive ones
        floor = max(float(np.quantile(image[brain], 0.01)), 1e-3 * float(np.abs(image[brain]).max()) + 1e-6)
        whole, inside = (
            itk_image(volume, grid.affine) for volume in (np.maximum(image, floor), brain.astype(np.uint8))
        )
        corrector = sitk.N4BiasFieldCorrectionImageFilter()
        corrector.SetMaximumNumberOfIterations(list(settings.iterations))
        extent = np.asarray(grid.shape) * np.asarray(grid.spacing_mm)
        corrector.SetNumberOfControlPoints([max(4, int(np.ceil(n / settings.knot_mm)) + 3) for n in extent])
        corrector.Execute(sitk.Shrink(whole, shrink), sitk.Shrink(inside, shrink))
        found = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(whole)).transpose(2, 1, 0)
    field = np.exp(found - found[brain].mean())
    # outside the brain the spline runs free
    return np.asarray(np.clip(field, field[brain].min(), field[brain].max()), np.float32)
