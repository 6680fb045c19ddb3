"""Train the network of the default method: from label maps, healthy scans and patients' better halves to `best/`.

    python benchmarks/train_default.py OUT --labelmaps MAPS --healthy CONTROLS --patients UNLABELLED [UNLABELLED ...]

Made tumours in made brains and in real tumour-free ones take turns. No mask of a patient is read. A stopped run goes on
with the same command; fewer `--steps` than before bring the learning rate down sooner. Where there is a GPU the network
trains on it, in bf16; a checkpoint is written every two minutes. Ten minutes of a large GPU beside 16 cores: add

    --batch 32 --rate 1e-3 --workers 16 --reuse 8 --steps 100000

stop it (Ctrl-C) once the progress shows the seconds of a step, and give the same command with the `--steps` that fit.
`--cases-on cuda` makes the cases there too, which pays where cores are few.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from annofree.formats import open_cohort
from annofree.methods.synthtumour.cases import write_carriers
from annofree.methods.synthtumour.coarse import coarse_of
from annofree.methods.synthtumour.made_junior import JuniorSettings
from annofree.methods.synthtumour.validation import MadeValidation
from annofree.networks import load_network
from annofree.prepare import Recipe
from annofree.scan import Cohort
from annofree.training.checkpoint import STATE, save_state
from annofree.training.healthy import bank_of
from annofree.training.loop import train
from annofree.training.losses import region_objective
from annofree.training.settings import TrainSettings
from annofree.training.sources import MadeCases, PaintedCases, Turns
from annofree.training.stream import MadeSampler, StreamSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labelmaps", help="folder; the MNI tissue maps where not given")
    parser.add_argument("--healthy", type=Path, nargs="*", default=[], help="folders of scans that carry tumours")
    parser.add_argument("--check", type=Path, nargs="*", default=[], help="healthy scans that only count false volume")
    parser.add_argument("--patients", type=Path, nargs="*", default=[])
    parser.add_argument("--brain-mask", default="*_DLMUSE.nii.gz")
    parser.add_argument("--start", type=Path, help="network folder to start from")
    parser.add_argument("--carriers", type=Path, help="folder that keeps the carriers; OUT/carriers by default")
    parser.add_argument("--healthy-weight", type=int, default=1, help="how many carriers a healthy one counts for")
    parser.add_argument("--tumour-free", type=float, default=0.25, help="share of the real brains that carry nothing")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--first-case", type=int, default=40_000_000)
    parser.add_argument("--reuse", type=int, default=3, help="steps that one new case serves")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that make the cases, at most --batch")
    parser.add_argument("--cases-on", default="cpu", help="where they compute: cpu or cuda")
    parser.add_argument("--validation-cases", type=int, default=20)
    parser.add_argument("--validate-every", type=int, default=500)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    # headers may put the sequences of one visit more than a centimetre apart: registered first, as everywhere
    healthy = [open_cohort(folder, brain_mask=given.brain_mask, prepare=Recipe()) for folder in given.healthy]
    check = [open_cohort(folder, brain_mask=given.brain_mask, prepare=Recipe()) for folder in given.check]
    patients = [open_cohort(folder, prepare=Recipe()) for folder in given.patients]
    kept, nobody = given.carriers or given.out / "carriers", Cohort({})
    for cohort in healthy:
        write_carriers(cohort, nobody, kept, most=len(cohort))
    for cohort in patients:
        write_carriers(nobody, cohort, kept, most=len(cohort))
    # healthy people are few beside patients' better halves, and it is in them that nothing may be called
    files = [f for f in sorted(kept.glob("*.npz")) for _ in range(given.healthy_weight if "healthy" in f.name else 1)]
    print(f"{len(files)} carriers", flush=True)

    fit = JuniorSettings(
        train=TrainSettings(
            steps=given.steps,
            batch=given.batch,
            learning_rate=given.rate,
            seed=given.seed,
            validate_every=given.validate_every,
            ema=0.999,
            workers=given.workers,
        ),
        stream=StreamSettings(first_seed=given.first_case, reuse=given.reuse, kept=12 * given.reuse),
        validation_cases=given.validation_cases,
    )
    bank = bank_of(given.labelmaps, given.out / "bank.npz")
    made = MadeCases(bank, fit.synthesis, fit.spacing_mm, device=given.cases_on)
    samplers = [MadeSampler(made, fit.stream, fit.sample, batch=given.batch, seed=given.seed)]
    if files:
        apart = fit.stream.model_copy(update={"first_seed": given.first_case + 500_000_000})
        fewer = fit.synthesis.tumours.model_copy(update={"healthy_share": given.tumour_free})
        here = fit.synthesis.model_copy(update={"tumours": fewer})
        painted = PaintedCases(files, here, fit.spacing_mm, len(files), given.cases_on)
        samplers.append(MadeSampler(painted, apart, fit.sample, batch=given.batch, seed=given.seed))
    free = [coarse_of(scan, fit.spacing_mm).tumour_free() for cohort in check for scan in cohort]
    voxel_ml = fit.spacing_mm**3 / 1000.0
    validate = MadeValidation(made, range(fit.validation_cases), voxel_ml=voxel_ml, healthy=free)

    torch.manual_seed(given.seed)
    from annofree.networks.build import build

    network = build(fit.network)
    start = given.out / "start"
    if given.start is not None and not (start / STATE).is_file():
        network.load_state_dict(load_network(given.start)[0].state_dict())
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        save_state(
            start / STATE,
            {"network": network},
            {"optimiser": torch.optim.AdamW(network.parameters())},
            {"step": 0, "best": None},
            weights,
        )
    done = train(
        network,
        Turns(samplers) if len(samplers) > 1 else samplers[0],
        region_objective,
        given.out,
        settings=fit.train,
        validate=validate,
        weights_from=start if given.start is not None else None,
        extra={"spacing_mm": fit.spacing_mm, "regions": ["WT", "TC", "ET"]},
    )
    print(f"step {done.step}, best score {done.best_score}")


if __name__ == "__main__":
    main()
