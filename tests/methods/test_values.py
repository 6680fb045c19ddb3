"""Methods are values: nothing changes them, a run may change what a run decides, and one rule decides for all."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from annofree import methods
from annofree.batch.rethreshold import rethreshold
from annofree.errors import AnnofreeError, InputError, OutputError, SettingsError
from annofree.formats import open_scan, read_segmentation
from annofree.formats.nifti import write_volume
from annofree.methods.base import Method
from annofree.methods.decide import Rules, Scored, decide
from annofree.methods.intensity import Intensity
from annofree.phantom import phantom_subject
from annofree.prepare.resample import back, resample, to_spacing
from annofree.refine import KeepComponents
from annofree.scan import Cohort, Modality, Scan
from annofree.segmentation import ScoreMap, Segmentation
from annofree.thresholds import Fixed

NAMES = tuple(name for name, row in methods.METHODS.items() if row.ships)
#: Methods are values: each is read from disk once.
shipped = cache(methods.shipped)


def choices(name: str) -> Iterator[dict[str, Any]]:
    """Every combination of what a run may choose among, for one method."""
    method = shipped(name)
    options = {
        key: get_args(field.annotation)
        for key, field in type(method.settings).model_fields.items()
        if key in method.run_settings and get_args(field.annotation) and key != "sequence"
    }
    for values in itertools.product(*options.values()):
        chosen = dict(zip(options, values, strict=True))
        if chosen.get("reconstruction") == "network" and getattr(method, "network", None) is None:
            continue  # ships without its network
        yield chosen


CASES = [(name, chosen) for name in NAMES for chosen in choices(name)]
IDS = ["-".join([name, *chosen.values()]) for name, chosen in CASES]


def on_disk(folder: Path, spacing_mm: float) -> Scan:
    scan = phantom_subject(seed=4, kind="glioblastoma", spacing_mm=spacing_mm).scan
    for sequence, image in scan.images.items():
        write_volume(folder / "patient" / f"patient_{sequence}.nii.gz", image, scan.grid)
    return open_scan(folder / "patient")


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return on_disk(tmp_path_factory.mktemp("coarse"), 4.0)


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Finer than the networks' grid, so that "fast" decides on theirs."""
    return on_disk(tmp_path_factory.mktemp("fine"), 1.9)


_ANSWERS: dict[tuple[Any, ...], Segmentation] = {}


def answer(method: Method, scan: Scan) -> Segmentation:
    """What a method says of a scan, asked once."""
    key = method.name, str(method.settings), scan.id, scan.spacing_mm
    if key not in _ANSWERS:
        _ANSWERS[key] = method.segment(scan)
    return _ANSWERS[key]


def same_again(method: Method, scan: Scan, folder: Path) -> None:
    result = answer(method, scan)
    result.save(folder / "out", page=False)
    rethreshold(folder / "out", None, out=folder / "again", locate=False)
    again = read_segmentation(folder / "again", scan.id)
    assert (result.labels > 0).any()
    assert np.array_equal(again.labels, result.labels)
    assert again.provenance["tier"] == result.provenance["tier"]
    assert again.provenance["notes"] == result.provenance["notes"]
    own = {region: rule.value for region, rule in result.thresholds.items()}
    assert {region: rule.value for region, rule in again.thresholds.items()} == own


@pytest.mark.parametrize(("name", "chosen"), CASES, ids=IDS)
def test_deciding_again_by_the_own_rules_gives_the_same_mask(
    name: str, chosen: dict[str, Any], coarse: Scan, tmp_path: Path
) -> None:
    same_again(shipped(name).replace(**chosen), coarse, tmp_path)


@pytest.mark.parametrize("name", ["synthtumour", "weak-to-strong", "dae", "mvit-ae-published"])
def test_so_it_is_on_a_grid_finer_than_that_of_the_networks(name: str, fine: Scan, tmp_path: Path) -> None:
    method = shipped(name)
    same_again(method.replace(quality="fast") if "quality" in method.run_settings else method, fine, tmp_path)


def test_fast_keeps_its_scores_on_the_grid_of_the_networks(fine: Scan, tmp_path: Path) -> None:
    result = answer(shipped("synthtumour").replace(quality="fast"), fine)
    assert result.scores["WT"].grid.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    assert result.labels.shape == fine.shape
    result.save(tmp_path / "out", page=False)
    kept = read_segmentation(tmp_path / "out", fine.id)
    for name, score in result.scores.items():
        assert kept.scores[name].grid.same_as(score.grid, tolerance_mm=1e-9)
        assert np.array_equal(kept.scores[name].values, score.values)


def test_a_patient_of_the_fit_keeps_the_rule_that_the_others_taught(coarse: Scan, tmp_path: Path) -> None:
    method = shipped("blogrr")
    assert method.folds
    same_again(method, coarse.replace(id=next(iter(method.folds))), tmp_path)


# ---- frozen


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_a_method(name: str) -> None:
    method = shipped(name)
    before = method.describe()
    for attribute in ("settings", "rules", "thresholds", "device", "network", "anything"):
        with pytest.raises(AnnofreeError, match="value"):
            setattr(method, attribute, None)
    with pytest.raises(TypeError):
        method.thresholds["WT"] = Fixed(1.0)  # type: ignore[index]
    other = method.replace(thresholds={"WT": Fixed(0.123)}, refiners={"WT": ()})
    assert other.thresholds["WT"].value == 0.123
    assert other.refiners["WT"] == ()
    assert method.describe() == before


@pytest.mark.parametrize(("name", "chosen"), CASES, ids=IDS)
def test_run_settings_give_a_new_method_and_are_recorded(name: str, chosen: dict[str, Any]) -> None:
    method = shipped(name)
    before = method.settings
    other = method.replace(**chosen)
    assert {key: getattr(other.settings, key) for key in chosen} == chosen
    assert method.settings is before
    assert type(other) is type(method)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_fit_decided_is_refused_at_a_run_with_a_sentence(name: str) -> None:
    method = shipped(name)
    fields = type(method.settings).model_fields
    for key in fields.keys() - method.run_settings:
        now = getattr(method.settings, key)
        if isinstance(now, int | float):
            other = not now if isinstance(now, bool) else 0.123 if isinstance(now, float) and now <= 1 else now * 2 + 4
            with pytest.raises(SettingsError, match=f"'{key}' of '{name}' is decided when the model is fitted"):
                method.replace(**{key: other})
    assert method.replace(**{key: getattr(method.settings, key) for key in fields}).describe() == method.describe()
    with pytest.raises(SettingsError, match="'stepz' is not a setting"):
        method.replace(stepz=3)


def test_the_published_preset_cannot_be_put_on_a_network_of_ours() -> None:
    import annofree as af

    scan = phantom_subject(seed=4, spacing_mm=4.0).scan
    with pytest.raises(SettingsError, match=r"'preset'.*annofree fit synthtumour --set preset=published"):
        af.segment(scan, preset="published", locate=False)
    with pytest.raises(SettingsError, match="'steps'"):
        af.segment(scan, steps=7, locate=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_method_survives_the_trip_to_another_process(name: str, coarse: Scan) -> None:
    method = shipped(name)
    method = method.replace(quality="fast") if "quality" in method.run_settings else method
    copy = pickle.loads(pickle.dumps(method))
    assert copy.describe() == method.describe()
    assert np.array_equal(copy.segment(coarse).labels, answer(method, coarse).labels)


def test_a_fit_leaves_the_method_as_it_was() -> None:
    method = Intensity()
    people = [phantom_subject(seed=s, healthy=True, spacing_mm=4.0).scan for s in (11, 12, 13)]
    fitted = method.fit(healthy=Cohort.of(people))
    assert fitted.thresholds["WT"].value is not None
    assert method.thresholds["WT"].value is None
    assert method.card == {}


# ---- one rule


def test_scores_on_another_grid_are_decided_there_and_their_borders_brought_back() -> None:
    scan = phantom_subject(seed=4, kind="glioblastoma", spacing_mm=2.0).scan
    small = to_spacing(scan.replace(brain=scan.foreground()), 4.0)
    rng = np.random.default_rng(0)
    values = (rng.random(small.shape) < 0.02).astype(np.float32)
    values[15:25, 20:30, 15:25] = 1.0
    rules = Rules({"WT": Fixed(0.5, tier="T0")}, {"WT": (KeepComponents(keep="largest"),)})
    scored = Scored({"WT": ScoreMap(values, "WT", "probability", small.grid)}, rules)
    decision = decide(scored, scan)
    assert decision.labels.shape == scan.shape
    assert "borders brought back" in decision.notes[-1]
    there = decide(scored, small).labels > 0
    expected = (back(there.astype(np.float32), small, scan) > 0.5) & scan.foreground()
    assert np.array_equal(decision.labels > 0, expected)
    assert there.sum() < (values > 0.5).sum()  # the refiner saw the coarse mask


@pytest.mark.parametrize("slices_mm", [3, 5])
def test_a_tumour_drawn_on_thick_slices_has_the_volume_that_thin_ones_show(slices_mm: int) -> None:
    fine = (((np.indices((120, 120, 120)) - 58.7) / 34.0) ** 2).sum(axis=0) < 1  # voxels of half a millimetre
    voxels = fine.reshape(60, 2, 60, 2, 60, 2).mean(axis=(1, 3, 5)).astype(np.float32)
    share = voxels.reshape(60, 60, 60 // slices_mm, slices_mm).mean(axis=3)
    affine = np.diag([1.0, 1.0, slices_mm, 1.0])
    affine[2, 3] = (slices_mm - 1) / 2  # the middle of the first slice
    scan = Scan("thick", {Modality.FLAIR: share + 1}, affine, brain=np.ones(share.shape, bool))
    cubes = to_spacing(scan, 1.0)
    seen = resample(share, scan.grid, cubes.grid, 1)  # a reader sees tumour from a quarter of a slice on
    scored = Scored({"WT": ScoreMap(seen, "WT", "probability", cubes.grid)}, Rules({"WT": Fixed(0.25, tier="T0")}))
    found_ml = float((decide(scored, scan).labels > 0).sum()) * scan.voxel_ml
    thin = float((voxels > 0.25).sum())
    assert (seen > 0.25).sum() > (1 + 0.01 * slices_mm) * thin
    assert found_ml * 1000 == pytest.approx(thin, rel=0.05)


def test_score_maps_of_one_scan_share_a_grid() -> None:
    scan = phantom_subject(seed=4, spacing_mm=4.0).scan
    other = replace(scan.grid, affine=scan.affine + np.diag([0.0, 0.0, 0.5, 0.0]))
    zeros = np.zeros(scan.shape, np.float32)
    maps = {"WT": ScoreMap(zeros, "WT", "z", scan.grid), "TC": ScoreMap(zeros, "TC", "z", other)}
    with pytest.raises(InputError, match="different grids"):
        Scored(maps, Rules({}))
    with pytest.raises(InputError, match="on a grid of"):
        ScoreMap(zeros[1:], "WT", "z", scan.grid)


# ---- on disk


def test_a_model_of_the_first_form_is_read_and_one_of_a_newer_form_refused(tmp_path: Path) -> None:
    folder = shipped("mvit-ae-published").save(tmp_path / "model")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["form"] == 2
    one = {"kind": "fixed", "value": 1.2, "tier": "T2", "source": "", "saw": {}}
    old = {
        **{key: config[key] for key in ("method", "tier")},
        "settings": {**config["settings"], "fill_over_enhancing": False},
        "thresholds": {**config["thresholds"], "residual-T1C": one, "residual-FLAIR": one},
        "refiners": {"WT": [{"kind": "components", "min_ml": 0.25}]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(old))
    read = methods.load(folder)
    assert not read.refiners["ET"][0].over_enhancing  # type: ignore[attr-defined]
    assert read.refiners["WT"][1] == KeepComponents(min_ml=0.25)
    assert set(read.thresholds) == {"WT", "TC", "ET"}
    (folder / "config.yaml").write_text(yaml.safe_dump({**old, "form": 3}))
    with pytest.raises(InputError, match="newer version"):
        methods.load(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"settings": None}, "no usable 'settings'"),
        ({"thresholds": [1]}, "no usable 'thresholds'"),
        ({"setings": {}}, "did you mean 'settings'"),
        ({"settings": {"sigma_mm": "wide"}}, "valid number"),
        ({"thresholds": {"WT": {"kind": "fixd", "value": 1}}}, "did you mean 'fixed'"),
        ({"method": "intensiti"}, "did you mean 'intensity'"),
    ],
)
def test_a_damaged_model_is_refused_with_a_sentence(change: dict, sentence: str, tmp_path: Path) -> None:
    folder = shipped("intensity").save(tmp_path / "model")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, **change}))
    with pytest.raises(AnnofreeError, match=sentence):
        methods.load(folder)


def test_masks_are_not_replaced_unless_asked_and_a_change_of_tier_is_explained(coarse: Scan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = answer(shipped("synthtumour").replace(quality="fast"), coarse)
    result.save(out, page=False)
    with pytest.raises(OutputError, match="--overwrite"):
        rethreshold(out, "fixed:0.7", locate=False)
    assert np.array_equal(read_segmentation(out, coarse.id).labels, result.labels)
    report = rethreshold(out, "fixed:0.95", overwrite=True, locate=False)
    sentence = report.rows[0]["notes"].rpartition(" | ")[2]
    assert "from T0 to T2" in sentence
    assert "given by the user" in sentence
    now = read_segmentation(out, coarse.id)
    assert now.provenance["tier"] == "T2"
    assert sentence in now.provenance["notes"]
    assert 0 < now.volumes_ml["WT"] < result.volumes_ml["WT"]
    report = rethreshold(out, Fixed(0.5, tier="T0", source="even odds"), overwrite=True, locate=False)
    back_again = read_segmentation(out, coarse.id)
    assert "from T2 to T0" in report.rows[0]["notes"]
    assert np.array_equal(back_again.labels, result.labels)
