"""MViT-AE on phantoms: the controls that reconstruct nothing, the published decisions, and fusion x refiner.

    python benchmarks/ablate_mvit.py OUT.tsv [--cases 40] [--crossed 20] [--model FOLDER] [--published FOLDER]

Without folders the shipped models are used. The first `--crossed` cases also get every refiner after every fusion, for
the whole tumour only. Cases already in OUT.tsv are kept, so a stopped run goes on; `--cases 0` prints what is there.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from annofree import methods
from annofree.methods.base import Method
from annofree.metrics import LESION_RULES, Overlap, lesionwise, match_lesions
from annofree.phantom import phantom_subject
from annofree.refine import RefineContext, Refiner, refine
from annofree.refine.appearance import Appearance
from annofree.refine.half_height import HalfHeight
from annofree.refine.promptable import Promptable
from annofree.scan import Modality, Scan, scoring
from annofree.segmentation import REGIONS

Mask = NDArray[np.bool_]

#: Name of a row, which model, its options.
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "early-late": ("ours", {}),
    "early": ("ours", {"fusion": "early"}),
    "late": ("ours", {"fusion": "late"}),
    "early-late, one round": ("ours", {"rounds": 1}),
    "constant": ("ours", {"reconstruction": "constant"}),
    "published, constant": ("published", {"reconstruction": "constant"}),
}
#: Rows of which every refiner is tried; the first is what the others are compared with.
CROSSED = ("early-late", "early", "late", "constant")
#: What draws the border of the findings, in place of the method's own half-height.
BORDERS: dict[str, tuple[Refiner, ...]] = {
    "as cut by the level": (),
    "half-height (default)": (HalfHeight(reach_mm=5.0),),
    "appearance": (Appearance(),),
    "promptable": (Promptable(),),
}
FIRST_SEED = 100
COLUMNS = ("case", "row", "region", "dice", "lesionwise", "any", "dice10", "hits", "missed", "false")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--crossed", type=int, default=20)
    parser.add_argument("--model")
    parser.add_argument("--published")
    parser.add_argument("--cache", type=Path, help="keeps the phantoms")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    models: dict[str, Method] = {
        "ours": methods.load(chosen.model) if chosen.model else methods.shipped("mvit-ae"),
        "published": methods.load(chosen.published) if chosen.published else methods.shipped("mvit-ae-published"),
    }
    done = {(row["case"], row["row"]) for row in read(chosen.out)}
    with chosen.out.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, delimiter="\t")
        if not done:
            writer.writeheader()
        for number, crossed in (
            *((n, False) for n in range(chosen.cases)),
            *((n, True) for n in range(chosen.crossed)),
        ):
            case = f"phantom-{FIRST_SEED + number}"
            titles = [row for row in ROWS if (case, f"{row} / {list(BORDERS)[-1]}" if crossed else row) not in done]
            titles = [row for row in titles if not crossed or row in CROSSED]
            if not titles:
                continue
            scan, labels = phantom(FIRST_SEED + number, chosen.cache)
            for title in titles:
                name, options = ROWS[title]
                for row, found in answered(models[name], options, scan, title, crossed).items():
                    writer.writerows(scored(case, row, found, labels, scan))
                stream.flush()
            print(case, "with every refiner" if crossed else "", flush=True)
    report(read(chosen.out))


def phantom(seed: int, cache: Path | None) -> tuple[Scan, Any]:
    """A phantom at 2 mm, kept in the cache."""
    file = None if cache is None else cache / f"ph{seed}.npz"
    if file is not None and file.is_file():
        with np.load(file) as held:
            images = {s: held[f"img_{s}"] for s in Modality if f"img_{s}" in held}
            return Scan(f"phantom-{seed}", images, np.diag([2.0, 2.0, 2.0, 1.0]), brain=held["brain"]), held["lab"]
    subject = phantom_subject(seed)
    if file is not None:
        assert subject.scan.brain is not None
        parts = {f"img_{s}": image for s, image in subject.scan.images.items()}
        np.savez(file, lab=subject.labels, brain=subject.scan.brain, **parts)  # type: ignore[arg-type]
    return subject.scan, subject.labels


def answered(model: Method, options: dict[str, Any], scan: Scan, title: str, crossed: bool) -> dict[str, Any]:
    """Labels of one row; or the whole tumour alone (as oedema) after every refiner."""
    # a study may change what a run may not: the settings are put in whole
    result = model.replace(settings=model.settings.replace(**options)).segment(scan)
    if not crossed:
        return {title: result.labels}
    own = model.refiners["WT"]
    place = next(i for i, refiner in enumerate(own) if isinstance(refiner, HalfHeight))
    brain = model.brain(scan)
    whole, inner = (result.scores[region].values > 1.0 for region in ("WT", "TC"))
    context = RefineContext(result.scores["WT"].values, brain, scan.spacing_mm, scan.images, 1.0, inner)
    answers = {f"{title} / no refiner": 2 * (whole & brain).astype(np.uint8)}
    found = refine(whole & brain, own[:place], context)
    for border, chain in BORDERS.items():
        answers[f"{title} / {border}"] = 2 * refine(found, (*chain, *own[place + 1 :]), context).astype(np.uint8)
    return answers


def scored(case: str, row: str, found: Any, truth: Any, scan: Scan) -> list[dict[str, Any]]:
    """One line a region; of rows with another refiner, the whole tumour only."""
    rows = []
    with scoring():
        for region, members in REGIONS.items():
            if "/" in row and region != "WT":
                continue
            true, called = np.isin(truth, members), np.isin(found, members)
            overlap = Overlap.of(true, called)
            dice = 1.0 if not true.any() and not called.any() else overlap.dice
            match = match_lesions(true, called)
            rows.append(
                {
                    "case": case,
                    "row": row,
                    "region": region,
                    "dice": dice,
                    "lesionwise": lesionwise(true, called, scan.spacing_mm, LESION_RULES["GLI"]).dice,
                    "any": int(overlap.both > 0) if true.any() else "",
                    "dice10": int(dice >= 0.1) if true.any() else "",
                    "hits": match.hits,
                    "missed": match.missed,
                    "false": match.false,
                }
            )
    return rows


def read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open() as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def report(rows: list[dict[str, str]]) -> None:
    """Dice and lesion-wise Dice, detection of the whole tumour, what is gained over the constant; then the refiners."""
    table: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for one in rows:
        table.setdefault(one["row"], {}).setdefault(one["region"], {})[one["case"]] = one
    print(f"{'':34s} {'WT':>13s} {'TC':>13s} {'ET':>13s}  any   >=0.1 recall precision  n")
    for title in (row for row in ROWS if row in table):
        cells = []
        for region in REGIONS:
            pairs = [(float(one["dice"]), float(one["lesionwise"])) for one in table[title][region].values()]
            cells.append("{:.3f} / {:.3f}".format(*np.nanmean(pairs, axis=0)))
        whole = table[title]["WT"].values()
        hits, missed, false = (sum(int(one[key]) for one in whole) for key in ("hits", "missed", "false"))
        rates = [np.mean([int(one[key]) for one in whole if one[key]]) for key in ("any", "dice10")]
        print(
            f"{title:34s} {' '.join(cells)}  {rates[0]:.3f} {rates[1]:.3f} "
            f"{hits / max(1, hits + missed):.3f}  {hits / max(1, hits + false):.3f}     {len(whole)}"
        )
    for title in ("early-late", "early", "late"):
        for region in REGIONS:
            for measure in ("dice", "lesionwise"):
                gain = paired(table, title, "constant", region, measure)
                print(f"{title} minus constant, {region} {measure:10s} {gain}")
    print(f"\n{'WT dice / lesionwise':30s} " + " ".join(f"{row:>15s}" for row in CROSSED))
    for border in ("no refiner", *BORDERS):
        cells = []
        for row in CROSSED:
            whole = table.get(f"{row} / {border}", {}).get("WT", {}).values()
            pairs = [(float(one["dice"]), float(one["lesionwise"])) for one in whole] or [(np.nan, np.nan)]
            cells.append("{:.3f} / {:.3f}".format(*np.nanmean(pairs, axis=0)))
        print(f"{border:30s} {' '.join(cells)}")
    for row in CROSSED:
        for border in BORDERS:
            gain = paired(table, f"{row} / {border}", f"{row} / half-height (default)", "WT", "dice")
            print(f"{row} / {border} minus half-height, WT dice {gain}")


def paired(table: dict[str, Any], first: str, second: str, region: str, measure: str) -> str:
    """Mean difference, its 95 % bootstrap interval over cases, in how many the first is better and worse."""
    one, other = (table.get(row, {}).get(region, {}) for row in (first, second))
    both = sorted(one.keys() & other.keys())
    if not both:
        return "not measured"
    gain = np.array([float(one[case][measure]) - float(other[case][measure]) for case in both])
    gain = gain[np.isfinite(gain)]
    draws = np.random.default_rng(0).integers(0, len(gain), (10_000, len(gain)))
    low, high = np.percentile(gain[draws].mean(axis=1), (2.5, 97.5))
    better, worse = int((gain > 1e-6).sum()), int((gain < -1e-6).sum())
    return f"{gain.mean():+.3f} ({low:+.3f} to {high:+.3f}), better in {better}, worse in {worse} of {len(gain)}"


if __name__ == "__main__":
    main()
