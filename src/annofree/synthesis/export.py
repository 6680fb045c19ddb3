"""Made tumours on disk, in made brains or in real ones: nnU-Net's layout, or one folder a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annofree.errors import InputError, some
from annofree.formats.brain_mask import head_in
from annofree.formats.standing import held
from annofree.processes import in_order
from annofree.progress import say
from annofree.scan import Cohort, Modality, Scan
from annofree.synthesis.bank import LabelMapBank
from annofree.synthesis.carrier import Carrier, carrier_of
from annofree.synthesis.dataset import MadeFolder, Row, case_seeds
from annofree.synthesis.generator import MadeCase, affine_of, make_case
from annofree.synthesis.pseudo_healthy import pseudo_healthy
from annofree.synthesis.real_brain import paint_tumour_into
from annofree.synthesis.settings import SynthesisSettings

_LABELS: dict[str, int | list[int]] = {
    "background": 0,
    "whole_tumour": [1, 2, 3],
    "tumour_core": [1, 3],
    "enhancing_tumour": [3],
}
#: Largest stored grey level.
_BRIGHTEST = 4000.0
#: Draws at most until a made brain is no larger than people's; of the MNI brain's three in five are not.
_DRAWS = 100


def export_cases(
    out: str | PathLike[str],
    n: int,
    bank: LabelMapBank,
    settings: SynthesisSettings | None = None,
    seed: int = 0,
    layout: str = "nnunet",
    workers: int = 1,
) -> Path:
    """Make ``n`` cases and write them; case ``i`` depends on ``seed`` and ``i`` alone, whatever the number of workers.

    ``nnunet`` writes ``imagesTr/made_00000_0000.nii.gz`` (T1, T1C, T2, FLAIR = 0000..0003), ``labelsTr`` and
    ``dataset.json``; ``folders`` writes ``made_00000/made_00000_t1.nii.gz`` and so on. Both write ``cases.csv`` with
    every drawn parameter, a row a case. Images are int16, labels uint8, in RAS with the frame's place in MNI space.
    The folder is new or empty, or what the same order left when it was stopped, and is given back.

    Raises:
        OutputError: The folder holds files already.
    """
    settings = settings or SynthesisSettings()
    asked = {"n": n, "seed": seed, "settings": settings.model_dump(mode="json")}
    asked["maps"] = [held(brain.name, brain.tissue, brain.depth) for brain in bank.maps]
    with MadeFolder.new(Path(out), layout, Modality, asked) as folder:
        rows = list(in_order(partial(_make, folder, bank, settings), list(enumerate(case_seeds(seed, n))), workers))
        return folder.finish(rows, _LABELS, regions=(2, 1, 3))


def _make(folder: MadeFolder, bank: LabelMapBank, settings: SynthesisSettings, job: tuple[int, int]) -> Row:
    number, seed = job
    name = f"made_{number:05d}"

    def write() -> Row:
        case = of_human_size(lambda own: make_case(bank, settings, own), seed)
        images = {
            sequence: np.rint(image * (_BRIGHTEST / max(float(image.max()), 1e-6))).astype(np.int16)
            for sequence, image in zip(Modality, case.images.numpy(), strict=True)
        }
        return write_case(folder, name, images, case)

    return folder.once(name, write)


def of_human_size(make: Callable[[int], MadeCase], seed: int) -> MadeCase:
    """The first case, of this seed and those that follow, that is not taken for a whole head when it is read.

    Training profits from brains larger than any adult's; in a file such a brain cannot be told from a head with skull.

    Raises:
        InputError: None is.
    """
    for again in range(_DRAWS):
        case = make(seed + again)
        images = dict(zip(Modality, case.images.numpy(), strict=True))
        why = head_in(Scan("made", images, affine_of(case)))
        if why is None:
            return case
    raise InputError(
        f"{_DRAWS} made brains in turn look like whole heads",
        why=f"of the last one, made from {case.meta['map']}, {why}",
        fix="Check the label maps' voxel sizes and that they number brain structures, or set anatomy.affine=false",
    )


def write_case(folder: MadeFolder, name: str, images: Mapping[Modality, NDArray[Any]], case: MadeCase) -> Row:
    """Write a made case with these images; its row in the table."""
    folder.write(name, images, case.labels.numpy(), Scan(name, images, affine_of(case)))
    return {"case": name, **case.meta}


def carriers_from(healthy: Cohort | None = None, patients: Cohort | None = None) -> list[Carrier]:
    """Healthy scans as they are, and patients' scans as pseudo-healthy brains; unusable ones are left out.

    Raises:
        InputError: None is left.
    """
    found = [carrier_of(scan) for scan in healthy or ()]
    found += [carrier for scan in patients or () if (carrier := pseudo_healthy(scan)).usable]
    if not found:
        raise InputError(
            "No brain can carry a tumour",
            why=f"{len(healthy or ())} healthy scans were given, and of {len(patients or ())} patients none was usable",
            fix="Give healthy scans with --healthy",
        )
    return found


def write_in_real_brains(
    carriers: list[Carrier],
    out: str | Path,
    *,
    n: int = 20,
    seed: int = 0,
    settings: SynthesisSettings | None = None,
    workers: int = 1,
    layout: str = "nnunet",
) -> Path:
    """Write made cases in real brains; carriers (from `carriers_from`) take turns.

    Only sequences that all carriers have are written. The folder is absent or empty, and is given back with its
    `cases.csv`.

    Raises:
        InputError: The carriers share no sequence.
        OutputError: The folder is not empty or not writable.
    """
    shared = [s for s in Modality if carriers and all(s in carrier.sequences for carrier in carriers)]
    if not shared:
        raise InputError("The carriers share no sequence", fix="Give scans that have a sequence in common")
    for extra in [s for s in Modality if s not in shared and any(s in carrier.sequences for carrier in carriers)]:
        say(f"{extra} is left out: {some([c.id for c in carriers if extra not in c.sequences])} lacks it")
    settings = settings or SynthesisSettings()
    names = [(f"real_{i:05d}", s) for i, s in enumerate(case_seeds(seed, n))]
    jobs = [(carrier, names[at :: len(carriers)]) for at, carrier in enumerate(carriers) if names[at :: len(carriers)]]
    asked = {"n": n, "seed": seed, "settings": settings.model_dump(mode="json")}
    asked["carriers"] = [held(carrier.id, carrier.images, carrier.tissue, carrier.levels) for carrier in carriers]
    with MadeFolder.new(out, layout, shared, asked) as folder:
        made = in_order(partial(_paint, settings, folder), jobs, workers)
        rows = sorted((row for rows in made for row in rows), key=lambda row: row["case"])
        return folder.finish(rows, {"background": 0, "core": 1, "oedema": 2, "enhancing": 3})


def _paint(settings: SynthesisSettings, folder: MadeFolder, job: tuple[Carrier, list[tuple[str, int]]]) -> list[Row]:
    def write(name: str, seed: int) -> Row:
        made = of_human_size(lambda own: paint_tumour_into(job[0], settings, own), seed)
        images = dict(zip(Modality, made.images.numpy(), strict=True))
        return write_case(folder, name, {s: images[s] for s in folder.sequences}, made)

    return [folder.once(name, partial(write, name, seed)) for name, seed in job[1]]
