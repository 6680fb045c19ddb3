"""The last step: whether what came out looks like a brain at all."""

from __future__ import annotations

import numpy as np

from annofree.errors import InputError
from annofree.intensity import air_level
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
        images = {name: np.where(work.brain, image, air_level(image)) for name, image in work.images.items()}
        grid = work.grids[work.reference]
        found = register_to_mni(Scan(work.study.id, images, grid.affine, brain=work.brain))
        said, overlaps = [], found.plausible and found.overlap >= self.least_overlap
        if not (overlaps and found.agreement >= self.least_agreement) and self._upside_down(work):
            said.append(
                "the head seems to lie upside down (turned over, it looks like one): the file's orientation is wrong, "
                "and so are outlines, sides and lobes; correct its header"
            )
        elif not overlaps:
            said.append(
                f"the brain overlaps with the template's by {found.overlap:.2f} (at least {self.least_overlap:g} is "
                "usual): the mask may be wrong, part of the brain may be missing, or the head may lie another way round"
            )
        elif found.agreement < self.least_agreement:
            said.append(f"the tissue inside the mask does not look like a brain's ({found.agreement:.2f})")
        quality = {"overlap": found.overlap, "agreement": found.agreement}
        did = f"The brain overlaps with the template's by {found.overlap:.2f}."
        return work.after(StepRecord("template", did, self.model_dump(), quality, tuple(said)))

    def _upside_down(self, work: Work) -> bool:
        """Whether a head with skull shows a brain that fits the template once it is turned over."""
        from annofree.anatomy import register_to_mni
        from annofree.prepare.brain_ladder import network_brain

        if work.reference not in work.study.heads:
            return False
        image, grid = work.images[work.reference], work.grids[work.reference]
        for axes in ((2,), (1, 2)):  # feet first; feet first and face down
            turned = np.ascontiguousarray(np.flip(image, axes))
            try:
                brain, _ = network_brain(turned, grid)
            except InputError:
                continue
            stripped = {work.reference: np.where(brain, turned, air_level(turned))}
            found = register_to_mni(Scan(work.study.id, stripped, grid.affine, brain=brain))
            if found.plausible and found.overlap >= self.least_overlap and found.agreement >= self.least_agreement:
                return True
        return False
