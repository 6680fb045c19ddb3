"""Whole heads with skull and scalp for the benchmarks of raw scans: made from label maps, or painted around a brain.

Nothing here is random without a seed, and no image of a person's face is shown by either: label maps hold none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from annofree.borders import BORDERS
from annofree.formats.carried import carried_mask, carried_scores
from annofree.scan import Grid, Modality, Scan
from annofree.synthesis import LabelMapBank, acquisition
from annofree.synthesis.bank import FRAME_CENTRE_MM, BrainMap
from annofree.synthesis.deform import COARSE_MM, FINE_MM, draw_source, finer, push_aside
from annofree.synthesis.generator import draw_centre
from annofree.synthesis.look_alikes import hyperintensities
from annofree.synthesis.matter import look_up
from annofree.synthesis.paint import paint
from annofree.synthesis.plan import draw_plans
from annofree.synthesis.seeds import Seeds
from annofree.synthesis.settings import Acquisition, Anatomy, Contrast, SynthesisSettings, Tumours
from annofree.synthesis.tissues import RIGHT, Tissue
from annofree.synthesis.tumour import fractions, grow, labels_of, permitted

#: Everything within so many mm of the brain is rendered: the whole frame.
_ALL_MM = 60.0
#: Brightness of air, fluid, bone, marrow and of the softest and brightest (fat) soft tissue: T1, T1C, T2, FLAIR.
_AROUND = {
    "air": (0.02, 0.02, 0.02, 0.02),
    Tissue.CSF: (0.35, 0.38, 2.4, 0.35),
    Tissue.DURA: (0.5, 1.0, 0.7, 0.6),
    Tissue.BONE: (0.15, 0.15, 0.2, 0.15),
    Tissue.MARROW: (1.1, 1.2, 0.9, 0.8),
    "muscle": (0.6, 0.75, 0.5, 0.6),
    "fat": (1.7, 1.7, 1.6, 1.5),
}


@dataclass(frozen=True)
class MadeHead:
    """A whole head whose brain and tumour are known.

    Attributes:
        images: Each (X, Y, Z), with skull.
        labels: (X, Y, Z) 0..3.
        brain: (X, Y, Z), everything below the brain's closed surface.
        grid: Their grid.
        about: What was drawn, in words.
    """

    images: dict[Modality, NDArray[np.float32]]
    labels: NDArray[np.uint8]
    brain: NDArray[np.bool_]
    grid: Grid
    about: str


def head_with_tumour_at_the_cortex(bank: LabelMapBank, seed: int) -> MadeHead:
    """One tumour whose centre lies within 4 mm of the brain's surface; physical contrasts, every kind of tumour."""
    settings = SynthesisSettings(
        tumours=Tumours(healthy_share=0.0, several=False, volume_ml=(10.0, 150.0)),
        contrast=Contrast(free_share=0.0),
        acquisition=Acquisition(missing_slab=False),
        anatomy=Anatomy(affine=False),  # a scaled head would not fit into the frame
    )
    seeds = Seeds(seed, "head", torch.device("cpu"))
    with torch.no_grad():
        anatomy = bank.maps[seed % len(bank)]
        plan = draw_plans(Seeds(seed, "head/tumours", torch.device("cpu")), settings.tumours)[0]
        source, _ = draw_source(seeds.stream("anatomy"), settings.anatomy)
        centre = draw_centre(look_up(anatomy, source, COARSE_MM), "dural", seeds.stream("centre"))
        source = push_aside(source, [(centre, plan.radius_mm, plan.push_mm)])
        coarse = look_up(anatomy, source, COARSE_MM)
        fine = look_up(anatomy, finer(source), FINE_MM, beyond_mm=_ALL_MM)
        allowed = permitted(fine, extra_axial=plan.kind == "dural")
        lesion = grow(plan, centre, coarse, fine, allowed, torch.zeros_like(allowed), seeds.stream("lesion"))
        share = fractions(plan, lesion.fields(), FINE_MM, allowed)
        spots, _ = hyperintensities(fine, seeds.stream("spots"), settings.look_alikes)
        images, _ = paint(fine, share, [plan], spots, seeds.stream("paint"), settings)
        images = _with_fat(images, fine.groups("beyond")[0], seeds.stream("scalp"))
        images = acquisition.bias_field(images, FINE_MM, seeds.stream("bias"), settings.acquisition)
        images = acquisition.noise(images, FINE_MM, seeds.stream("noise"), settings.acquisition)
        labels = labels_of(share, BORDERS["visible"]).numpy()
        brain = (fine.depth_mm > 0).numpy()
    affine = np.diag([FINE_MM, FINE_MM, FINE_MM, 1.0])
    affine[:3, 3] = np.asarray(FRAME_CENTRE_MM) - FINE_MM * (np.asarray(labels.shape) - 1) / 2
    drawn = dict(zip(Modality, images.numpy().astype(np.float32), strict=True))
    about = f"{plan.kind} {plan.whole_ml:.0f} ml, {anatomy.name}"
    return MadeHead(drawn, labels, brain, Grid(labels.shape, affine), about)


def _with_fat(images: torch.Tensor, beyond: torch.Tensor, seeds: Seeds) -> torch.Tensor:
    """Soft tissue outside the skull in patches between muscle and fat: label maps do not tell them apart."""
    soft = ((images[0] > 0.5) & (beyond > 0.9)).float()
    patches = seeds.smooth(beyond.shape, 5.0)[0].clamp(-1.0, 1.0) * 0.5 + 0.5
    for channel in range(len(images)):
        low, high = _AROUND["muscle"][channel], _AROUND["fat"][channel]
        images[channel] = torch.lerp(images[channel], low + (high - low) * patches, soft)
    return images


def painted_around(scan: Scan, anatomy: BrainMap, seed: int) -> MadeHead:
    """A stripped scan with a label map's fluid, skull and scalp around it; what lies inside its brain stays as it is.

    Seen from the brain's middle, each direction keeps the label map's layers at their distances from its own brain's
    surface, moved to where this brain's surface lies. Grey levels are relative to the scan's own brain.

    Args:
        scan: With a brain mask.
        anatomy: Whose skull.
        seed: Of the noise and of fat and muscle.
    """
    rng = np.random.default_rng(seed)
    brain = scan.foreground()
    spacing = np.asarray(scan.spacing_mm)
    tissue = anatomy.tissue & (RIGHT - 1)
    inside = ndimage.zoom(anatomy.depth.astype(np.float32), 2, order=1) > 0
    margin = np.ceil(32 / spacing).astype(int)
    shape = tuple(int(n) for n in np.asarray(brain.shape) + 2 * margin)
    own = np.pad(brain, [(int(m), int(m)) for m in margin])
    middle = np.argwhere(own).mean(axis=0)
    there = np.argwhere(inside).mean(axis=0)
    way = (np.indices(shape, dtype=np.float32).reshape(3, -1).T - middle.astype(np.float32)) * spacing.astype(
        np.float32
    )
    length = np.maximum(np.linalg.norm(way, axis=1), 1e-3)
    bins = _directions(way / length[:, None])
    reach = _surface(own, middle, spacing)[bins]
    map_reach = _surface(inside, there, np.ones(3))[bins]
    at = way / length[:, None] * (map_reach + length - reach)[:, None] + there
    index = np.clip(np.rint(at), 0, np.asarray(tissue.shape) - 1).astype(int)
    found = tissue[tuple(index.T)].reshape(shape)
    depth = ndimage.distance_transform_edt(~own, sampling=spacing)
    patches = ndimage.gaussian_filter(rng.normal(size=shape).astype(np.float32), 6.0 / spacing)
    patches = np.clip(0.5 + 0.5 * patches / max(float(patches.std()), 1e-6), 0.0, 1.0)
    images = {}
    for channel, name in enumerate(Modality):
        if name not in scan.images:
            continue
        level = float(np.median(scan.images[name][brain]))
        around = np.full(shape, _AROUND[Tissue.CSF][channel], np.float32)
        for kind in (Tissue.DURA, Tissue.BONE, Tissue.MARROW):
            around[found == kind] = _AROUND[kind][channel]
        low, high = _AROUND["muscle"][channel], _AROUND["fat"][channel]
        around = np.where(found == Tissue.SOFT, low + (high - low) * patches, around)
        around[(found == Tissue.OUTSIDE) & (depth > 3)] = _AROUND["air"][channel]
        around = np.abs(ndimage.gaussian_filter(around, 0.6 / spacing) + rng.normal(0, 0.02, shape)) * level
        image = np.where(own, np.pad(scan.images[name], [(int(m), int(m)) for m in margin]), around)
        images[name] = image.astype(np.float32)
    affine = np.array(scan.affine)
    affine[:3, 3] = scan.affine[:3, 3] - scan.affine[:3, :3] @ margin
    return MadeHead(images, np.zeros(shape, np.uint8), own, Grid(shape, affine), f"{scan.id} in {anatomy.name}")


def _directions(unit: NDArray[np.float32]) -> NDArray[np.intp]:
    """The cell of about 4 degrees that each direction falls into."""
    turn = np.floor((np.arctan2(unit[:, 1], unit[:, 0]) / np.pi + 1) * 45).clip(0, 89)
    lift = np.floor((np.arcsin(np.clip(unit[:, 2], -1, 1)) / np.pi + 0.5) * 45).clip(0, 44)
    return (turn * 45 + lift).astype(np.intp)


def _surface(
    inside: NDArray[np.bool_], middle: NDArray[np.float64], spacing: NDArray[np.float64]
) -> NDArray[np.float32]:
    """How far a mask reaches from its middle in each cell of directions, in mm, smoothed over neighbours."""
    shell = inside & ~ndimage.binary_erosion(inside)
    way = ((np.argwhere(shell) - middle) * spacing).astype(np.float32)
    length = np.linalg.norm(way, axis=1)
    reach = np.zeros(90 * 45, np.float32)
    np.maximum.at(reach, _directions(way / length[:, None]), length)
    table = reach.reshape(90, 45)
    table = np.where(table > 0, table, ndimage.maximum_filter(table, 7, mode=("wrap", "nearest")))
    return ndimage.gaussian_filter(table, 1.0, mode=("wrap", "nearest")).ravel()


def photographed(
    made: MadeHead, name: Modality, slice_mm: float, movement: NDArray[np.float64], phase_mm: float = 0.0
) -> tuple[NDArray[np.float32], Grid]:
    """One sequence as a scanner would store it: thick slices, the head moved, a grid of its own.

    Args:
        made: The head.
        name: Which sequence.
        slice_mm: Thickness of the axial slices.
        movement: (4, 4) from the head's world to the world of this sequence's file.
        phase_mm: Where the first slice begins.
    """
    spacing = np.asarray(made.grid.spacing_mm)
    extent = np.asarray(made.grid.shape) * spacing
    shape = (made.grid.shape[0], made.grid.shape[1], int(np.ceil(extent[2] / slice_mm)))
    affine = np.array(made.grid.affine, dtype=float)
    affine[:3, 2] *= slice_mm / spacing[2]
    low = made.grid.affine[:3, :3] @ np.array([0, 0, -0.5]) + made.grid.affine[:3, 3]
    affine[:3, 3] = low + affine[:3, 2] * (0.5 + phase_mm / slice_mm)
    grid = Grid(shape, affine)
    return carried_scores(made.images[name], made.grid, grid, movement), grid


def carried(mask: NDArray[np.bool_], made: MadeHead, grid: Grid, movement: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A mask of the head on the grid of one of its sequences."""
    return carried_mask(mask, made.grid, grid, movement)


def moved(rng: np.random.Generator, mm: float, degrees: float) -> NDArray[np.float64]:
    """A random rigid movement: each shift up to `mm`, each turn up to `degrees`."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-degrees, degrees, 3), degrees=True).as_matrix()
    matrix[:3, 3] = rng.uniform(-mm, mm, 3)
    return matrix
