"""Phantoms that do not belong: what goes wrong with scans before anybody segments them, made on purpose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from annofree.modality import Modality
from annofree.phantom import phantom_subject
from annofree.scan import Scan

Images = dict[Modality, NDArray[np.float32]]


def contrast_swapped(scan: Scan, rng: np.random.Generator) -> Scan:
    """T1 and T1C under each other's name."""
    return _swapped(scan, Modality.T1, Modality.T1C)


def fluid_swapped(scan: Scan, rng: np.random.Generator) -> Scan:
    """T2 and FLAIR under each other's name."""
    return _swapped(scan, Modality.T2, Modality.FLAIR)


def twice(scan: Scan, rng: np.random.Generator) -> Scan:
    """T1 exported a second time as T1C."""
    return scan.replace(images={**scan.images, Modality.T1C: scan.images[Modality.T1]})


def other_head(scan: Scan, rng: np.random.Generator) -> Scan:
    """FLAIR of another person, on the same grid."""
    return _of_another(scan, rng, Modality.FLAIR)


def other_head_twice(scan: Scan, rng: np.random.Generator) -> Scan:
    """T2 and FLAIR of another person, which fit each other."""
    return _of_another(scan, rng, Modality.T2, Modality.FLAIR)


def mirrored(scan: Scan, rng: np.random.Generator) -> Scan:
    """One sequence with left and right exchanged."""
    name = list(scan.images)[int(rng.integers(len(scan.images)))]
    return scan.replace(images={**scan.images, name: np.flip(scan.images[name], 0)})


def displaced(scan: Scan, rng: np.random.Generator) -> Scan:
    """One sequence lies 15 to 25 mm elsewhere, along a random axis."""
    name, axis = list(scan.images)[int(rng.integers(len(scan.images)))], int(rng.integers(3))
    steps = round(float(rng.choice([-1, 1]) * rng.uniform(15, 25)) / scan.spacing_mm[axis])
    return scan.replace(images={**scan.images, name: np.roll(scan.images[name], steps, axis)})


def half_head(scan: Scan, rng: np.random.Generator) -> Scan:
    """Everything beyond a plane is gone, 25 to 50 % of the brain's extent from a random end."""
    axis, end, share = int(rng.integers(3)), bool(rng.integers(2)), float(rng.uniform(0.25, 0.5))
    brain = scan.foreground()
    inside = np.flatnonzero(brain.any(axis=tuple(k for k in range(3) if k != axis)))
    kept = np.ones(scan.shape, dtype=bool)
    lost = round(share * inside.size)
    cut = slice(None, inside[0] + lost) if end else slice(inside[-1] + 1 - lost, None)
    kept[tuple(cut if k == axis else slice(None) for k in range(3))] = False
    images = {name: np.where(kept, image, np.float32(0)) for name, image in scan.images.items()}
    return scan.replace(images=images, brain=brain & kept)


def implant(scan: Scan, rng: np.random.Generator) -> Scan:
    """A ball of 12 to 22 mm radius without signal in any sequence, in the brain's white middle of one half."""
    hole = _ball(scan, rng, float(rng.uniform(12, 22)))
    return scan.replace(images={name: np.where(hole, image * 0.02, image) for name, image in scan.images.items()})


def resection(scan: Scan, rng: np.random.Generator) -> Scan:
    """A cavity of 22 to 28 mm radius in one half, filled with fluid as the ventricles are."""
    hole = _ball(scan, rng, float(rng.uniform(22, 28)))
    brain = scan.foreground()
    quantile = {Modality.T1: 0.01, Modality.T1C: 0.01, Modality.T2: 0.99, Modality.FLAIR: 0.01}
    noise = rng.normal(1.0, 0.03, scan.shape).astype(np.float32)
    images = {}
    for name, image in scan.images.items():
        fluid = float(np.quantile(image[brain], quantile[name]))
        images[name] = np.where(hole, np.float32(fluid) * noise, image)
    return scan.replace(images=images)


def computed_tomography(scan: Scan, rng: np.random.Generator) -> Scan:
    """One CT in Hounsfield units under the name of T1: fluid 8, white matter 28, grey matter 37, noise 5."""
    t1 = scan.images.get(Modality.T1, next(iter(scan.images.values())))
    brain = scan.foreground()
    dark, grey, white = np.quantile(t1[brain], (0.03, 0.4, 0.85))
    units = np.interp(t1, (dark, grey, white), (8, 37, 28)) + rng.normal(0, 5, scan.shape)
    return scan.replace(images={Modality.T1: np.where(brain, np.rint(units), 0).astype(np.float32)}, brain=brain)


def striped(scan: Scan, rng: np.random.Generator) -> Scan:
    """One point of k-space too bright in every sequence: stripes of 10 to 20 % of the brain's level."""
    x, y, _ = np.indices(scan.shape, dtype=np.float32)
    along, across = rng.uniform(0.1, 0.3, 2)
    stripes = np.cos(2 * np.pi * (along * x + across * y)).astype(np.float32)
    brain = scan.foreground()
    strength = float(rng.uniform(0.1, 0.2))
    images = {
        name: np.where(brain, image + np.float32(strength * np.median(image[brain])) * stripes, image)
        for name, image in scan.images.items()
    }
    return scan.replace(images=images)


def moved(scan: Scan, rng: np.random.Generator) -> Scan:
    """The head moves by up to 8 mm for a third of the phase-encoding lines, from front to back, in every sequence."""
    brain, length, edge = scan.foreground(), scan.shape[1], scan.spacing_mm[1]
    frequency = np.fft.fftfreq(length)
    shift = np.zeros(length)
    lines = (rng.random(length) < 0.33) & (np.abs(frequency) > 0.03)
    shift[lines] = rng.uniform(-8, 8, int(lines.sum())) / edge
    turn = np.exp(-2j * np.pi * frequency * shift)[None, :, None]
    images = {
        name: np.where(brain, np.abs(np.fft.ifft(np.fft.fft(image, axis=1) * turn, axis=1)), 0).astype(np.float32)
        for name, image in scan.images.items()
    }
    return scan.replace(images=images, brain=brain)


def inverted(scan: Scan, rng: np.random.Generator) -> Scan:
    """Bright and dark exchanged in every sequence."""
    brain = scan.foreground()
    return scan.replace(
        images={
            name: np.where(brain, image[brain].max() + image[brain].min() - image, 0).astype(np.float32)
            for name, image in scan.images.items()
        },
        brain=brain,
    )


def upside_down(scan: Scan, rng: np.random.Generator) -> Scan:
    """The data are stored from top to bottom, and the header says from bottom to top."""
    images = {name: np.flip(image, 2) for name, image in scan.images.items()}
    return scan.replace(images=images, brain=np.flip(scan.foreground(), 2))


def mask_upside_down(scan: Scan, rng: np.random.Generator) -> Scan:
    """The same with the brain mask alone."""
    return scan.replace(brain=np.flip(scan.foreground(), 2))


def wrong_edge(scan: Scan, rng: np.random.Generator) -> Scan:
    """One edge of the voxels is wrong in the header of every file, by 40 to 55 %, as 5 mm under the name of 3.5."""
    affine, factor = np.array(scan.affine), float(rng.uniform(1.4, 1.55))
    affine[:3, int(rng.integers(3))] *= factor if rng.integers(2) else 1.0 / factor
    return scan.replace(affine=affine)


def no_orientation(scan: Scan, rng: np.random.Generator) -> Scan:
    """A file whose header states no orientation, as its reader notes it."""
    note = "scan.nii.gz states no orientation (qform and sform codes are 0); its axes are taken as LAS."
    return scan.replace(notes=(*scan.notes, note))


#: Every misfit, with the checks of which one has to warn.
MISFITS: dict[Callable[[Scan, np.random.Generator], Scan], tuple[str, ...]] = {
    contrast_swapped: ("enhancement",),
    fluid_swapped: ("fluid in FLAIR", "fluid in T2"),
    twice: ("same image",),
    other_head: ("one head",),
    other_head_twice: ("one head",),
    mirrored: ("one head",),
    displaced: ("one head",),
    half_head: ("cut",),
    implant: ("signal void",),
    resection: ("cavity",),
    computed_tomography: ("CT",),
    striped: ("stripes",),
    moved: ("motion",),
    inverted: ("contrast", "fluid in FLAIR", "fluid in T2"),
    upside_down: ("upright",),
    mask_upside_down: ("upright",),
    wrong_edge: ("proportions",),
    no_orientation: ("left and right",),
}


def _of_another(scan: Scan, rng: np.random.Generator, *names: Modality) -> Scan:
    other = phantom_subject(int(rng.integers(10**6, 10**7)), spacing_mm=scan.spacing_mm[0]).scan
    return scan.replace(images={**scan.images, **{name: other.images[name] for name in names}})


def _swapped(scan: Scan, first: Modality, second: Modality) -> Scan:
    images = dict(scan.images)
    images[first], images[second] = images[second], images[first]
    return scan.replace(images=images)


def _ball(scan: Scan, rng: np.random.Generator, radius_mm: float) -> NDArray[np.bool_]:
    """A ball in the upper half of one side, whole inside the brain as far as that is possible."""
    brain, spacing = scan.foreground(), np.asarray(scan.spacing_mm)
    points = np.argwhere(brain)
    low, high = points.min(axis=0), points.max(axis=0)
    side = rng.choice([0.28, 0.72])
    place = low + (high - low) * np.array([side, rng.uniform(0.4, 0.65), rng.uniform(0.5, 0.65)])
    grid = np.moveaxis(np.indices(scan.shape), 0, -1)
    distance = np.sqrt((((grid - place) * spacing) ** 2).sum(axis=-1))
    ball: NDArray[np.bool_] = (distance < radius_mm) & brain
    return ball
