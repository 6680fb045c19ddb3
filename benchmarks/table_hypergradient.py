"""Which hypergradient pays: first-order, unrolled and implicit, at equal rounds and at equal processor time.

    OMP_NUM_THREADS=1 python benchmarks/table_hypergradient.py OUT [--rounds 5] [--count 20] [--steps 1000]

Two cohorts of phantoms at 4 mm. Autoencoder and threshold network learn from the healthy people and the reports of one
cohort and are judged on the tumours of the other, then the other way round. The start is the same for every form: an
autoencoder trained alone, and a threshold at the 90 % quantile of healthy errors, too low on purpose, so that there is
something to learn. "equal rounds" stops every form after the same rounds; "equal time" lets each go on until it has
used as much processor time as the slowest. Masks are read for the Dice alone; a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from annofree.formats.grids import resample
from annofree.inference.torch_network import TorchNetwork
from annofree.methods.blogrr import Blogrr
from annofree.methods.blogrr.bilevel import train_pair
from annofree.methods.blogrr.hypergradient import Params, first_order, implicit, unrolled
from annofree.methods.blogrr.levels import BilevelSettings, Levels, PatientSampler
from annofree.methods.reconstruction.method import AE
from annofree.methods.reconstruction.slice_samples import SliceSampler, Stack
from annofree.networks import build, load_network, save_network
from annofree.phantom import PhantomSubject, phantom_cohort
from annofree.prepare.slices import framed, pick_sequence
from annofree.scan import Cohort, Modality, Scan

FORMS = ("first-order", "unrolled", "implicit")
STAGES = ("equal rounds", "equal time")
SEEDS = (8101, 8202)
START = 0.9
Judged = list[tuple[Scan, Modality, NDArray[np.bool_]]]


class Coarse(Blogrr):
    """BLOGRR on slices of 48 x 48 pixels of 4 mm."""

    default_slices = AE.default_slices


def cut_for_judging(subjects: list[PhantomSubject], method: Blogrr) -> Judged:
    """Slices and truth of those with a tumour."""
    found = []
    for subject in subjects:
        if (subject.labels > 0).any():
            scan = subject.scan
            name = pick_sequence(scan, None)
            slices = framed(scan.replace(images={name: scan.images[name]}, brain=method.brain(scan)), method.slices)
            found.append((slices, name, resample(subject.labels > 0, scan.grid, slices.grid, 0) > 0))
    return found


def dices(method: Blogrr, judged: Judged) -> tuple[float, float, float]:
    """Mean Dice with the thresholds, and of the best single value (T3); and the mean threshold."""
    with_network, curves, used = [], [], []
    values = np.geomspace(0.005, 0.5, 120)
    for slices, name, truth in judged:
        bare = method.replace(thresholder=None)
        error, _ = bare.reconstruct(slices, name)
        taus = method.thresholds_of(slices.images[name], error)
        found = error > taus
        with_network.append(2.0 * (found & truth).sum() / max(found.sum() + truth.sum(), 1))
        every, inside = np.sort(error, axis=None), np.sort(error[truth])
        called = every.size - np.searchsorted(every, values, side="right")
        hit = inside.size - np.searchsorted(inside, values, side="right")
        curves.append(2.0 * hit / (called + truth.sum()))
        used.append(float(taus.mean()))
    return float(np.mean(with_network)), float(np.mean(curves, axis=0).max()), float(np.mean(used))


def agreement(pair: tuple[Any, Any], form: BilevelSettings, healthy: SliceSampler, ill: PatientSampler) -> str:
    """Cosine with the first-order gradient, and the length of what the other forms add to it."""

    def batch(sampler: Any, step: int) -> dict[str, torch.Tensor]:
        parts = [sampler(step, lane) for lane in range(form.batch)]
        return {key: torch.stack([part[key] for part in parts]) for key in parts[0]}

    levels = Levels(*pair, form)
    theta, phi = ({n: p.detach() for n, p in net.named_parameters()} for net in pair)
    patients, well = batch(ill, 10**6), [batch(healthy, 10**6 + i) for i in range(form.unroll)]

    def upper(t: Params, p: Params) -> torch.Tensor:
        return levels.upper(t, p, patients)

    lower = [lambda t, p, w=w: levels.lower(t, p, w) for w in well]
    found = {
        "first-order": first_order(upper, theta, phi)[0],
        "unrolled": unrolled(upper, lower, theta, phi, rate=form.unroll_rate)[0],
        "implicit": implicit(upper, lower[0], theta, phi, damping=form.damping, iterations=form.iterations)[0],
    }
    flat = {name: torch.cat([g.flatten() for g in gradient.values()]) for name, gradient in found.items()}
    first = flat["first-order"]
    words = []
    for name in FORMS[1:]:
        cosine = float(torch.nn.functional.cosine_similarity(first, flat[name], dim=0))
        words.append(f"{name}: cosine {cosine:.4f}, adds {float((flat[name] - first).norm() / first.norm()):.4f}")
    return "; ".join(words)


def run(
    out: Path, learn: list[PhantomSubject], judge: list[PhantomSubject], seed: int, rounds: int, steps: int
) -> None:
    """One direction; writes OUT/<seed>/rows.json."""
    torch.manual_seed(seed)
    method = Coarse(width=4, seed=seed, steps=steps, made=0, bilevel_steps=5, bilevel_batch=8, learning_rate=3e-3)
    well = [s.scan for s in learn if not (s.labels > 0).any()]
    ill = [s.scan for s in learn if (s.labels > 0).any()]
    method = method.fit(healthy=Cohort.of(well), workspace=out / str(seed))
    base = method.network.module()
    seen = [p for p in method._reported(Cohort.of(ill)) if p.target is not None]
    free = list(method._cut(Cohort.of(well)))
    healthy = SliceSampler([Stack(p.slices.id, p.sequence, p.levels()) for p in free], method.variation(), seed=seed)
    patients = PatientSampler([p.stack() for p in seen], seed=seed)
    judged = cut_for_judging(judge, method)
    start = float(np.quantile(np.concatenate([p.error[p.brain] for p in free]), START))
    network = build(method.settings.threshold_network())
    network.start_at(start)
    begin = out / str(seed) / "start"
    save_network(base, begin / "reconstructor")
    save_network(network, begin / "threshold")
    file = out / str(seed) / "rows.json"
    rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.is_file() else []

    def note(form: str, stage: str, folder: Path, done: int, seconds: float) -> None:
        pair = [TorchNetwork(load_network(folder / n)[0]) for n in ("reconstructor", "threshold")]
        dice, best, tau = dices(method.replace(network=pair[0], thresholder=pair[1]), judged)
        rows.append(
            {"form": form, "stage": stage, "rounds": done, "cpu": seconds, "dice": dice, "oracle": best, "tau": tau}
        )
        print(seed, json.dumps(rows[-1]), flush=True)
        file.write_text(json.dumps(rows))

    if not rows:
        note("start", "start", begin, 0, 0.0)
    settings = method.settings.bilevel(method.error(free[0].sequence)).model_copy(update={"upper_rate": 5e-3})
    first = [load_network(begin / n)[0] for n in ("reconstructor", "threshold")]
    print(seed, "at the start,", agreement((first[0], first[1]), settings, healthy, patients), flush=True)
    for stage in STAGES:
        for form in FORMS:
            spent = {row["form"]: row["cpu"] for row in rows if row["stage"] == STAGES[0]}
            longer = stage == STAGES[1]
            wanted = int(rounds * max(spent.values()) / spent[form]) if longer else rounds
            folder, before = (out / str(seed) / f"{form} {name}" for name in (stage, STAGES[0]))
            if (longer and wanted <= rounds) or any((r["form"], r["stage"]) == (form, stage) for r in rows):
                continue
            shutil.rmtree(folder, ignore_errors=True)
            if longer:
                shutil.copytree(before, folder)
            pair = [load_network(begin / n)[0] for n in ("reconstructor", "threshold")]
            how = settings.model_copy(update={"rounds": wanted, "hypergradient": form})
            began = time.process_time()
            train_pair(pair[0], pair[1], healthy, patients, folder, settings=how)
            took = time.process_time() - began
            note(form, stage, folder, wanted, took + (spent[form] if longer else 0.0))
    last = [load_network(out / str(seed) / f"implicit {STAGES[0]}" / n)[0] for n in ("reconstructor", "threshold")]
    print(seed, "at the end,", agreement((last[0], last[1]), settings, healthy, patients), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1000, help="Of the autoencoder before the two take turns.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cohorts = [list(phantom_cohort(n=given.count, seed=s, spacing_mm=4.0, healthy_fraction=0.24)) for s in SEEDS]
    for number, seed in enumerate(SEEDS):
        run(given.out, cohorts[number], cohorts[1 - number], seed, given.rounds, given.steps)
    rows = [json.loads((given.out / str(seed) / "rows.json").read_text()) for seed in SEEDS]
    print(
        "\n| hypergradient | | rounds | CPU s | Dice | by cohort | oracle value (T3) |\n|---|---|---|---|---|---|---|"
    )
    for parts in zip(*rows, strict=True):
        rounds, cpu, dice, best = (np.mean([p[key] for p in parts]) for key in ("rounds", "cpu", "dice", "oracle"))
        each, form, stage = " ".join(f"{p['dice']:.3f}" for p in parts), parts[0]["form"], parts[0]["stage"]
        print(f"| {form} | {stage} | {rounds:.0f} | {cpu:.0f} | {dice:.3f} | {each} | {best:.3f} |")


if __name__ == "__main__":
    main()
