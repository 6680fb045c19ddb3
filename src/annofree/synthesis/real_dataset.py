"""Made tumours in real brains, on disk."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from annofree.errors import InputError, some
from annofree.formats.standing import held
from annofree.processes import in_order
from annofree.progress import say
from annofree.scan import Cohort, Modality
from annofree.synthesis.carrier import Carrier, carrier_of
from annofree.synthesis.dataset import MadeFolder, Row, case_seeds
from annofree.synthesis.export import of_human_size, write_case
from annofree.synthesis.pseudo_healthy import pseudo_healthy
from annofree.synthesis.real_brain import paint_tumour_into
from annofree.synthesis.settings import SynthesisSettings


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
    spacing_mm: float = 2.0,
) -> Path:
    """Write made cases in real brains; carriers (from `carriers_from`) take turns.

    Only sequences that all carriers have are written. The folder is absent or empty, and is given back with its
    `cases.csv`; `spacing_mm` is 2.0 or 1.0.

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
    asked = {"n": n, "seed": seed, "settings": settings.model_dump(mode="json"), "spacing_mm": spacing_mm}
    asked["carriers"] = [held(carrier.id, carrier.images, carrier.tissue, carrier.levels) for carrier in carriers]
    with MadeFolder.new(out, layout, shared, asked) as folder:
        made = in_order(partial(_make, settings, spacing_mm, folder), jobs, workers)
        rows = sorted((row for rows in made for row in rows), key=lambda row: row["case"])
        return folder.finish(rows, {"background": 0, "core": 1, "oedema": 2, "enhancing": 3})


def _make(
    settings: SynthesisSettings, spacing_mm: float, folder: MadeFolder, job: tuple[Carrier, list[tuple[str, int]]]
) -> list[Row]:
    def write(name: str, seed: int) -> Row:
        made = of_human_size(lambda own: paint_tumour_into(job[0], settings, own, spacing_mm=spacing_mm), seed)
        images = dict(zip(Modality, made.images.numpy(), strict=True))
        return write_case(folder, name, {s: images[s] for s in folder.sequences}, made)

    return [folder.once(name, partial(write, name, seed)) for name, seed in job[1]]
