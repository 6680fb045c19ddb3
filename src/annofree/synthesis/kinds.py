"""Kinds of made tumour, as data: how often each is drawn, how much of it is core, how it enhances and how it looks."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """One kind of tumour.

    Attributes:
        weight: How often it is drawn, beside the weights of the others.
        core: Core as a share of the whole volume; what is drawn above 1 is a core without oedema.
        rims: How it enhances (see `annofree.synthesis.plan.TumourPlan`), by weight.
        dark: Solid core on T1: 0 is the brighter of white matter and cortex, 1 the darker.
        wet: Solid core on T2: 0 is cortex, 1 is fluid.
        bright: Solid core on FLAIR, in units of the brighter of white matter and cortex.
        wetter: How often the solid core is more of what the oedema is, in all sequences at once, instead of the above.
        uneven: Standard deviation of the oedema's water where it is uneven, as a share of its contrast to white matter.
    """

    weight: float
    core: Range
    rims: dict[str, float]
    dark: Range = (0.5, 1.3)
    wet: Range = (0.0, 0.55)
    bright: Range = (0.95, 1.5)
    wetter: float = 0.0
    uneven: Range = (0.0, 0.5)


KINDS: dict[str, Kind] = {
    "ring": Kind(0.36, (0.15, 0.65), {"ring": 0.75, "nodular": 0.25}),
    "solid": Kind(0.10, (0.15, 0.6), {"solid": 1.0}),
    "patchy": Kind(0.12, (0.3, 0.85), {"patchy": 1.0}),
    # diffuse glioma of lower grade: the bulk holds more water than what it infiltrates, which changes all sequences
    # together; in the higher of these grades some spots enhance
    "homogeneous": Kind(
        0.30,
        (0.45, 1.05),
        {"none": 0.7, "patchy": 0.3},
        dark=(0.6, 1.6),
        wet=(0.2, 0.8),
        bright=(1.1, 2.0),
        wetter=0.6,
        uneven=(0.0, 0.25),
    ),
    # IDH-mutant astrocytoma: microcystic tissue, so much water that FLAIR suppresses part of it
    "mismatch": Kind(0.14, (0.7, 0.97), {"none": 1.0}, wet=(0.2, 0.8), bright=(0.6, 0.95)),
    # a diffuse tumour that has begun to enhance: a few spots, far from enclosing anything
    "infiltrative": Kind(0.05, (0.02, 0.2), {"none": 0.5, "patchy": 0.5}, uneven=(0.2, 0.6)),
    "metastases": Kind(0.04, (0.08, 0.5), {"ring": 0.6, "solid": 0.4}),
    "dural": Kind(0.04, (0.4, 0.97), {"solid": 1.0}),
    # dense or well-ordered tissue (ganglioglioma, gangliocytoma, cortical oligodendroglioma): little more free water
    # than cortex has
    "isointense": Kind(0.12, (0.8, 1.2), {"none": 0.7, "patchy": 0.3}, (0.6, 2.2), (0.05, 0.9), (0.55, 1.1)),
    # pilocytic astrocytoma, haemangioblastoma, ganglioglioma: a cyst, and a nodule on its wall
    "cystic": Kind(0.08, (0.55, 1.2), {"mural": 0.55, "ring": 0.25, "none": 0.2}),
}
"""Every kind by its name: more than a third of the tumours show no enhancement."""
