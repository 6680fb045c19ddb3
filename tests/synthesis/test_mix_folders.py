"""`annofree synth mix`: nnU-Net folders in, mixed cases and the senior's data set out."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from annofree import methods
from annofree.cli.main import main
from annofree.formats import open_scan, read_segmentation
from annofree.methods.synthtumour import junior, published_junior
from annofree.networks import ThinUNetSettings
from annofree.synthesis import mix_dataset
from command_line import call

SHAPE = (32, 36, 30)
AFFINE = np.diag([-4.0, 4.0, 4.0, 1.0])


def ball(radius: float, centre: tuple[int, int, int] = (16, 18, 15)) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < radius**2


def write(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), file)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    brain, tumour = ball(13), ball(4, (20, 20, 16))
    for number in range(3):
        level = np.where(brain, 100 + 10 * rng.normal(size=SHAPE), 0)
        write(tmp_path / "imagesTr" / f"p{number}_0000.nii.gz", np.where(tumour, 250, level).astype(np.float32))
        write(tmp_path / "healthy" / "imagesTr" / f"h{number}_0000.nii.gz", (3 * level).astype(np.float32))
        if number < 2:  # the third has no pseudo-label
            write(tmp_path / "labelsTr" / f"p{number}.nii.gz", tumour.astype(np.uint8))
    return tmp_path


def mixed(folders: Path, *more: str) -> Path:
    out = folders / "out"
    named = [
        "--images",
        folders / "imagesTr",
        "--labels",
        folders / "labelsTr",
        "--healthy",
        folders / "healthy",
        "-o",
        out,
    ]
    main(["synth", "mix", *map(str, named), "-o", str(out), "--preset", "published", *more])
    return out


def test_mixed_cases_and_the_merged_data_set(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        mixed(folders)
    assert not ended.value.code
    assert "3 mixed cases (FLAIR)" in capsys.readouterr().out
    out = folders / "out"
    images = sorted(path.name for path in (out / "imagesTrMix").iterdir())
    assert images == [f"CarveMix_000{k}_0000.nii.gz" for k in range(3)]  # published: a healthy scan serves once
    assert [p.name for p in sorted((out / "labelsMix").iterdir())] == [f"CarveMix_000{k}.nii.gz" for k in range(3)]

    with (out / "mixid.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [set(row) for row in rows] == [{"id", "id1", "id2"}] * 3
    assert {row["id1"] for row in rows} == {"p0", "p1"}
    assert {row["id2"] for row in rows} == {"h0", "h1", "h2"}

    tumour = ball(4, (20, 20, 16))
    for row in rows:
        image = np.asarray(nibabel.load(out / "imagesTrMix" / f"{row['id']}_0000.nii.gz").dataobj)
        label = np.asarray(nibabel.load(out / "labelsMix" / f"{row['id']}.nii.gz").dataobj)
        host = np.asarray(nibabel.load(folders / "healthy" / "imagesTr" / f"{row['id2']}_0000.nii.gz").dataobj)
        assert np.array_equal(label > 0, tumour)  # where the pseudo-label says, in the patient's own axis order
        np.testing.assert_allclose(image[~tumour], host[~tumour], rtol=1e-4, atol=1e-2)
        assert image[tumour].mean() > 1.3 * host[tumour].mean()

    names = {"CarveMix_0000", "CarveMix_0001", "CarveMix_0002", "p0", "p1"}
    for form in ("Dataset101_SynthTumourSenior", "Task101_SynthTumourSenior"):
        assert {p.name for p in (out / form / "labelsTr").iterdir()} == {f"{name}.nii.gz" for name in names}
        assert {p.name for p in (out / form / "imagesTr").iterdir()} == {f"{name}_0000.nii.gz" for name in names}
    second = json.loads((out / "Dataset101_SynthTumourSenior" / "dataset.json").read_text())
    assert second["channel_names"] == {"0": "FLAIR"}
    assert (second["labels"], second["numTraining"]) == ({"background": 0, "tumour": 1}, 5)
    first = json.loads((out / "Task101_SynthTumourSenior" / "dataset.json").read_text())
    assert (first["modality"], first["labels"]) == ({"0": "FLAIR"}, {"0": "background", "1": "tumour"})
    assert {entry["label"] for entry in first["training"]} == {f"./labelsTr/{name}.nii.gz" for name in names}
    original = np.asarray(nibabel.load(out / "Task101_SynthTumourSenior" / "imagesTr" / "p0_0000.nii.gz").dataobj)
    np.testing.assert_allclose(original, np.asarray(nibabel.load(folders / "imagesTr" / "p0_0000.nii.gz").dataobj))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--n", "9"], "9 mixed cases cannot be made from 2 tumours and 3 healthy scans"),
        (["--set", "blend=3"], "'blend' is not a setting; did you mean 'blend_mm'?"),
        (["--set", "tumour_uses=1", "--n", "3"], "Ask for at most 2"),
    ],
)
def test_what_cannot_be_mixed_is_said(
    folders: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        mixed(folders, *more)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_label_of_another_image_is_refused(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = AFFINE.copy()
    moved[:3, 3] = 50.0
    nibabel.save(nibabel.Nifti1Image(ball(4).astype(np.uint8), moved), folders / "labelsTr" / "p1.nii.gz")
    with pytest.raises(SystemExit):
        mixed(folders)
    assert "lies on another grid than its image" in capsys.readouterr().err
    assert not (folders / "out" / "imagesTrMix").exists()


def test_settings_reach_made_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["synth", "-o", str(tmp_path / "o"), "--n", "1", "--set", "tumours.kindd=metastases"])
    assert ended.value.code == 2
    assert "did you mean 'tumours.kind'?" in capsys.readouterr().err.replace("'kind'", "'tumours.kind'")
    brain = np.where(ball(13), 100.0, 0.0) + np.where(ball(13), np.random.default_rng(0).normal(0, 5, SHAPE), 0)
    write(tmp_path / "flair.nii.gz", brain.astype(np.float32))
    small = ["--set", "volume_ml=[20.0, 20.0]", "--set", "shape=ellipsoid", "--set", "ratio=[1.0, 1.0]"]
    with pytest.raises(SystemExit) as ended:
        main(["synth", *(str(tmp_path / name) for name in ("flair.nii.gz", "i.nii.gz", "l.nii.gz")), *small])
    assert not ended.value.code
    assert "(20.0 ml requested)" in capsys.readouterr().out


def cases_of(out: Path) -> dict[str, dict[str, str]]:
    with (out / "Dataset101_SynthTumourSenior" / "cases.csv").open() as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def test_a_network_learns_from_the_mix_and_each_patient_s_tumour_is_on_one_side(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        mixed(folders, "--tier", "T0")
    senior = folders / "out" / "Dataset101_SynthTumourSenior"
    cases = cases_of(folders / "out")
    assert {row["tier"] for row in cases.values()} == {"T0"}
    (split,) = json.loads((senior / "splits_final.json").read_text())
    assert sorted((*split["train"], *split["val"])) == sorted(cases)
    assert {cases[name]["tumour"] for name in split["val"]} == {"p0"}
    assert {cases[name]["tumour"] for name in split["train"]} == {"p1"}

    monkeypatch.setattr(junior, "PUBLISHED_SPACING_MM", 4.0)
    monkeypatch.setattr(published_junior, "ThinUNetSettings", lambda: ThinUNetSettings(full=4, widths=(4, 8)))
    given = ("--set", "preset=published", "--set", f"cases={senior}", "--set", "steps=2")
    assert call("fit", "synthtumour", "-o", folders / "model", *given) == 0
    card = methods.load(folders / "model").card
    told = f"{len(split['train'])} made cases of a folder, {len(split['val'])} held out"
    assert (card["tier"], card["learned from"]["anatomies"]) == ("T0", told)


def test_labels_whose_tier_nobody_tells_teach_no_junior(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        mixed(folders)
    assert "tier of the labels: not told" in capsys.readouterr().out
    senior = folders / "out" / "Dataset101_SynthTumourSenior"
    assert call("fit", "synthtumour", "-o", folders / "m", "--set", "preset=published", "--set", f"cases={senior}") == 2
    said = capsys.readouterr().err
    assert "has tier S, and this junior learns from those of tier T0 alone" in said
    assert "--tier T0" in said
    assert call("synth", "mix", "--tier", "t0", "-o", folders / "x") == 2
    assert "There is no tier 't0'; did you mean 'T0'?" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["made", "segmented"])
def test_made_cases_and_annofree_s_own_answers_tell_their_tier(folders: Path, where: str) -> None:
    labels = folders / "labelsTr"
    if where == "made":  # as annofree synth lists what it made
        (folders / "cases.csv").write_text("case,seed\np0,1\np1,2\n")
    else:
        assert (
            call("segment", folders / "imagesTr", "--sequence", "FLAIR", "-o", folders / "answers", "--no-locate") == 0
        )
        shutil.rmtree(labels)
        (folders / "answers").rename(labels)
    with pytest.raises(SystemExit) as ended:
        mixed(folders)
    assert not ended.value.code
    rows = cases_of(folders / "out")
    assert {row["tier"] for row in rows.values()} == {"T0"}
    assert {"p0", "p1"} <= set(rows)
    if where == "segmented":
        own = np.asarray(open_scan(folders / "imagesTr" / "p1_0000.nii.gz", sequence="FLAIR").images["FLAIR"])
        mask = read_segmentation(labels, "p1").mask("WT")
        kept = nibabel.load(folders / "out" / "Dataset101_SynthTumourSenior" / "labelsTr" / "p1.nii.gz")
        assert own.shape == mask.shape
        assert np.array_equal(np.asarray(kept.dataobj)[::-1] > 0, mask)  # the file runs from right to left


def test_a_stopped_mix_goes_on(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        mixed(folders, "--tier", "T0")
    (folders / "out").rename(folders / "whole")
    real, calls = mix_dataset.best_mix, []

    def watched(*given):  # type: ignore[no-untyped-def]
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(mix_dataset, "best_mix", watched)
    with pytest.raises(SystemExit) as ended:
        mixed(folders, "--tier", "T0")
    assert ended.value.code == 130
    shutil.copytree(folders / "healthy", folders / "others")  # namesakes: h0, h1, h2
    one, other = (next((folders / "others").rglob(f"h{n}_0000.nii.gz")) for n in (1, 2))
    shutil.copy(one, other)
    for more, said in (
        (("--seed", "4"), "seed was 0 and is now 4"),
        (("--healthy", folders / "others"), "healthy: the same names, other files"),
    ):
        with pytest.raises(SystemExit) as ended:
            mixed(folders, "--tier", "T0", *map(str, more))
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
    label = next((folders / "labelsTr").glob("p1*"))
    before, image = label.read_bytes(), nibabel.load(label)
    nibabel.save(nibabel.Nifti1Image(np.roll(np.asarray(image.dataobj), 1, 0), image.affine), label)
    with pytest.raises(SystemExit) as ended:
        mixed(folders, "--tier", "T0")
    assert ended.value.code == 2
    assert "labels: the same names, other files" in capsys.readouterr().err
    label.write_bytes(before)
    for name in ("imagesTr", "labelsTr", "healthy"):  # another place, the same files
        (folders / name).rename(folders / f"moved-{name}")
        (folders / name).symlink_to(folders / f"moved-{name}", target_is_directory=True)
    with pytest.raises(SystemExit) as ended:
        mixed(folders, "--tier", "T0")
    assert not ended.value.code
    assert len(calls) == 4  # the first case, which was done, is not mixed again
    out, whole = (
        {p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file()}
        for r in (folders / "out", folders / "whole")
    )
    assert out == whole
