"""The last step: whether what came out looks like a brain at all."""

from __future__ import annotations

import numpy as np

from annofree.preparation import StepRecord
from annofree.prepare.work import Work
from annofree.scan import Scan
from annofree.settings import Settings


class CompareWithTemplate(Settings):
    """Aligns the brain with the MNI template by an affine and raises an alarm where the two disagree.

    Attributes:
        least_overlap: Dice of the two brains; aligned brains have 0.92 and more.
        least_agreement: Correlation of the image with a mixture of the template's tissues.
    """

    least_overlap: float = 0.87
    least_agreement: float = 0.2

    def __call__(self, work: Work) -> Work:
        """Compare."""
        from annofree.anatomy import register_to_mni

        assert work.brain is not None
        images = {name: np.where(work.brain, image, np.float32(0)) for name, image in work.images.items()}
        found = register_to_mni(Scan(work.study.id, images, work.grids[work.reference].affine, brain=work.brain))
        said = []
        if not found.plausible or found.overlap < self.least_overlap:
            said.append(
                f"the brain overlaps with the template's by {found.overlap:.2f} (at least {self.least_overlap:g} is "
                "usual): the mask may be wrong, part of the brain may be missing, or the head may lie another way round"
            )
        elif found.agreement < self.least_agreement:
            said.append(f"the tissue inside the mask does not look like a brain's ({found.agreement:.2f})")
        quality = {"overlap": found.overlap, "agreement": found.agreement}
        did = f"The brain overlaps with the template's by {found.overlap:.2f}."
        return work.after(StepRecord("template", did, self.model_dump(), quality, tuple(said)))
