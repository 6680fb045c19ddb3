"""nnU-Net is run as its users run it: right commands, right folders, resumed where it stopped, answers read back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

from annofree.errors import AnnofreeError, InputError, OptionalDependency, SettingsError
from annofree.formats import export_nnunet, read_segmentation
from annofree.nnunet.environment import Environment
from annofree.nnunet.runner import DONE, NnUNetRun, NnUNetSettings
from annofree.scan import Cohort, Grid, Modality, Scan, canonical_grid

COMMANDS = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict")


def fake(folder: Path, bodies: dict[str, str] | None = None) -> Environment:
    """An environment whose commands note how they were called."""
    for name in COMMANDS:
        file = folder / "bin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        body = (bodies or {}).get(name, "")
        file.write_text(f'#!/bin/sh\necho "{name} $* | $nnUNet_raw" >> {folder}/calls\n{body}\n')
        file.chmod(0o755)
    return Environment(folder / "bin" / "python")


def scan(name: str, seed: int) -> Scan:
    """A scan whose file runs from right to left, so that an answer in the wrong order is seen."""
    native = Grid((10, 12, 9), np.diag([-2.0, 2.0, 2.0, 1.0]))
    image = np.random.default_rng(seed).uniform(1, 2, native.shape).astype(np.float32)
    image[0] = 0
    return Scan(name, {Modality.FLAIR: image}, canonical_grid(native).affine, native=native)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    cohort = Cohort.of([scan("a", 1), scan("b", 2)])
    made = export_nnunet(
        cohort, tmp_path / "made", labels=lambda s: (s.images[Modality.FLAIR] > 1.9).astype(np.uint8), validation=["b"]
    )
    (made / "cases.csv").write_text("case\na\nb\n")
    return made


def test_commands_folders_and_split_are_what_nnunet_expects(tmp_path: Path, data: Path) -> None:
    run = NnUNetRun(data, tmp_path / "work", fake(tmp_path / "env"), NnUNetSettings(dataset_id=7, device="cpu"))
    run.fit()
    first, second = (tmp_path / "env" / "calls").read_text().splitlines()
    assert first.startswith("nnUNetv2_plan_and_preprocess -d 7 -c 3d_fullres -np 2 --verify_dataset_integrity")
    assert second.startswith("nnUNetv2_train 7 3d_fullres 0 -tr nnUNetTrainer -device cpu |")
    assert first.endswith(str(tmp_path / "work" / "nnUNet_raw"))
    assert (tmp_path / "work/nnUNet_raw/Dataset007_made/labelsTr/a.nii.gz").is_file()
    split = json.loads((tmp_path / "work/nnUNet_preprocessed/Dataset007_made/splits_final.json").read_text())
    assert split == [{"train": ["a"], "val": ["b"]}]


def test_what_is_done_is_not_done_again_and_a_stopped_training_goes_on(tmp_path: Path, data: Path) -> None:
    run = NnUNetRun(data, tmp_path / "work", fake(tmp_path / "env"), NnUNetSettings())
    run.fit()
    run.fold_folder.mkdir(parents=True)
    (run.fold_folder / "checkpoint_latest.pth").touch()
    run.fit()
    calls = (tmp_path / "env" / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == [COMMANDS[0], COMMANDS[1], COMMANDS[1]]
    assert " --c |" in calls[2]
    (run.fold_folder / "checkpoint_final.pth").touch()
    run.fit()
    assert len((tmp_path / "env" / "calls").read_text().splitlines()) == 3


def test_answers_come_back_on_the_scans_grid_for_evaluate(tmp_path: Path, data: Path) -> None:
    patient = scan("p-1", 3)
    image = patient.images[Modality.FLAIR]
    bright = (image > 1.8).astype(np.uint8)
    (tmp_path / "answers").mkdir()
    assert patient.native is not None
    nibabel.save(
        nibabel.Nifti1Image(patient.to_native(bright), patient.native.affine), tmp_path / "answers" / "p-1.nii.gz"
    )
    answer = {"nnUNetv2_predict": f'test -f "$2/p-1_0000.nii.gz" && cp {tmp_path}/answers/* "$4"'}
    run = NnUNetRun(data, tmp_path / "work", fake(tmp_path / "env", answer), NnUNetSettings())
    (mask,) = run.predict(Cohort.of([patient]), tmp_path / "out")
    assert mask.is_file()
    assert (tmp_path / "out" / "sub-p1" / "sub-p1.html").is_file()
    assert "sub-p1/sub-p1.html" in (tmp_path / "out" / "index.html").read_text()
    result = read_segmentation(tmp_path / "out", "p-1")
    assert np.array_equal(result.mask("WT"), bright > 0)
    assert result.provenance["tier"] == "T0"
    elsewhere = patient.replace(files={"FLAIR": "study.zip, series 3"})  # no file of its own
    assert run.read(elsewhere, tmp_path / "answers").provenance["files"] == {"FLAIR": "study.zip, series 3"}
    (data / "cases.csv").unlink()
    assert run.read(patient, tmp_path / "answers").provenance["tier"] == "S"


@pytest.mark.parametrize(
    ("labels", "order", "ours"),
    [
        ({"background": 0, "oedema": 1, "core": 2, "enhancing": 3}, None, [0, 2, 1, 3]),
        ({"background": 0, "NCR": 1, "edema": 2, "enhancing tumor": 3}, None, [0, 1, 2, 3]),
        ({"background": 0, "NETC": 1, "SNFH": 2, "ET": 3}, None, [0, 1, 2, 3]),
        # A tumour that has a number of its own beside the oedema is the core, as in truth of the same names.
        ({"background": 0, "edema": 1, "tumour": 2, "enhancing": 3}, None, [0, 2, 1, 3]),
        ({"background": 0, "SNFH": 1, "resection cavity": 2, "ET": 3, "NETC": 4}, None, [0, 2, 0, 3]),
        ({"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": [3]}, [1, 2, 3], [0, 2, 1, 3]),
        (
            {"background": 0, "whole_tumour": [1, 2, 3], "tumour_core": [1, 3], "enhancing": [3]},
            [2, 1, 3],
            [0, 1, 2, 3],
        ),
    ],
)
def test_regions_are_told_apart_where_the_data_set_names_them(
    tmp_path: Path, data: Path, labels: dict[str, object], order: list[int] | None, ours: list[int]
) -> None:
    file = data / "dataset.json"
    content = json.loads(file.read_text()) | {"labels": labels} | ({"regions_class_order": order} if order else {})
    file.write_text(json.dumps(content))
    run = NnUNetRun(data, tmp_path / "work", fake(tmp_path / "env"), NnUNetSettings())
    patient = scan("p", 4)
    theirs = np.random.default_rng(0).integers(0, 4, patient.shape).astype(np.uint8)
    assert patient.native is not None
    nibabel.save(nibabel.Nifti1Image(patient.to_native(theirs), patient.native.affine), tmp_path / "p.nii.gz")
    contrast = patient.replace(images={**patient.images, Modality.T1C: patient.images[Modality.FLAIR]})
    result = run.read(contrast, tmp_path)
    assert result.regions == ("WT", "TC", "ET")
    assert np.array_equal(result.labels, np.array(ours, np.uint8)[theirs])
    result = run.read(patient, tmp_path)
    assert result.regions == ("WT", "TC"), "FLAIR alone shows nothing that enhances"
    assert np.array_equal(result.labels, np.array([1 if label == 3 else label for label in ours], np.uint8)[theirs])


def test_errors_say_what_to_do(tmp_path: Path, data: Path) -> None:
    with pytest.raises(OptionalDependency, match=r"not installed .*pip install nnunetv2"):
        NnUNetRun(data, tmp_path / "w", Environment(tmp_path / "none" / "python"), NnUNetSettings()).fit()
    broken = fake(tmp_path / "env", {"nnUNetv2_plan_and_preprocess": "echo 'RuntimeError: no GPU'; exit 3"})
    with pytest.raises(AnnofreeError, match=r"stopped with code 3 .*log\.txt.*RuntimeError: no GPU"):
        NnUNetRun(data, tmp_path / "work", broken, NnUNetSettings()).fit()
    with pytest.raises(InputError, match="no nnU-Net data set"):
        NnUNetRun(tmp_path, tmp_path / "work", broken, NnUNetSettings())
    for wrong in ({"configuration": "3d_fulres"}, {"fold": "7"}, {"device": "gpu"}):
        with pytest.raises(SettingsError, match=r"Input should be .*given '"):
            NnUNetSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="1 to 999"):
        NnUNetRun(data, tmp_path / "work", broken, NnUNetSettings(dataset_id=1000))


def test_the_script_for_a_cluster_has_every_step(tmp_path: Path, data: Path) -> None:
    run = NnUNetRun(data, tmp_path / "my work", fake(tmp_path / "env"), NnUNetSettings())
    lines = run.script().splitlines()
    assert lines[0] == f"export nnUNet_raw='{tmp_path}/my work/nnUNet_raw'"
    assert [line.split()[0].rsplit("/")[-1] for line in lines[3:]] == [COMMANDS[0], "cp", COMMANDS[1]]


def test_the_script_needs_no_nnunet_where_it_is_made_and_runs_where_it_is(tmp_path: Path, data: Path) -> None:
    run = NnUNetRun(data, tmp_path / "my work", Environment(tmp_path / "none" / "python"), NnUNetSettings(dataset_id=7))
    run.stage()
    text = run.script(tmp_path / "scans")
    assert str(tmp_path / "none") not in text
    # on the cluster: nnU-Net's commands and annofree on the path
    bodies = {COMMANDS[0]: 'mkdir -p "$nnUNet_preprocessed/Dataset007_made"'}
    fake(tmp_path / "there", bodies)
    annofree = tmp_path / "there" / "bin" / "annofree"
    annofree.write_text(f'#!/bin/sh\necho "annofree $*" >> {tmp_path}/there/calls\n')
    annofree.chmod(0o755)
    script = tmp_path / "run.sh"
    script.write_text(text)
    path = {"PATH": f"{tmp_path}/there/bin:/usr/bin:/bin"}
    subprocess.run(["sh", str(script)], env=path, check=True)
    calls = [line.split(" | ")[0] for line in (tmp_path / "there" / "calls").read_text().splitlines()]
    assert calls[0] == "nnUNetv2_plan_and_preprocess -d 7 -c 3d_fullres -np 2 --verify_dataset_integrity"
    assert calls[1].strip() == "nnUNetv2_train 7 3d_fullres 0 -tr nnUNetTrainer -device cpu"
    assert calls[2].startswith(f"annofree nnunet {data} -o {tmp_path}/my work --id 7")
    assert f"--predict {tmp_path}/scans" in calls[2]
    assert (tmp_path / "my work/nnUNet_preprocessed/Dataset007_made/splits_final.json").is_file()

    (run.fold_folder).mkdir(parents=True)
    (run.fold_folder / "checkpoint_latest.pth").touch()
    subprocess.run(["sh", str(script)], env=path, check=True)
    again = (tmp_path / "there" / "calls").read_text().splitlines()
    assert "--c" in again[4].split()  # a training that was stopped goes on


def test_the_script_stops_where_a_step_fails(tmp_path: Path, data: Path) -> None:
    environment = fake(tmp_path / "env", {COMMANDS[0]: "exit 3"})
    script = tmp_path / "run.sh"
    script.write_text(NnUNetRun(data, tmp_path / "work", environment, NnUNetSettings()).script())
    assert subprocess.run(["sh", str(script)], check=False).returncode == 3
    assert len((tmp_path / "env" / "calls").read_text().splitlines()) == 1


@pytest.mark.parametrize("said", ["cuda", "mps", "cpu"])
def test_the_device_is_what_there_is(tmp_path: Path, data: Path, said: str) -> None:
    environment = fake(tmp_path / "env")
    (tmp_path / "env" / "bin" / "python").write_text(f"#!/bin/sh\necho {said}\n")
    (tmp_path / "env" / "bin" / "python").chmod(0o755)
    assert NnUNetRun(data, tmp_path / "work", environment, NnUNetSettings()).device == said
    assert NnUNetRun(data, tmp_path / "work", environment, NnUNetSettings(device="cpu")).device == "cpu"
    assert Environment(tmp_path / "none" / "python").device == "cpu"


def test_a_failed_export_leaves_nothing_behind(tmp_path: Path) -> None:
    cohort = Cohort.of([scan("a", 1), scan("b", 2)])
    with pytest.raises(InputError, match="holds"):
        export_nnunet(cohort, tmp_path / "made", labels=lambda s: np.full(s.shape, 0 if s.id == "a" else 9))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "made").mkdir()
    with pytest.raises(InputError, match="no label map"):
        export_nnunet(cohort, tmp_path / "made", labels={"a": np.zeros((10, 12, 9))})
    assert list((tmp_path / "made").iterdir()) == []
    export_nnunet(cohort, tmp_path / "made", labels=lambda s: np.zeros(s.shape))  # the same folder can be used then
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made"]
    assert len(list((tmp_path / "made" / "imagesTr").iterdir())) == 2


@pytest.mark.parametrize("file", ["dataset.json", "splits_final.json"])
def test_a_description_or_split_that_changed_is_noticed(tmp_path: Path, data: Path, file: str) -> None:
    environment, settings = fake(tmp_path / "env"), NnUNetSettings(dataset_id=7, device="cpu")
    run = NnUNetRun(data, tmp_path / "work", environment, settings)
    run.fit()
    run.fit()
    called = (tmp_path / "env" / "calls").read_text()
    content = (data / file).read_text() if (data / file).is_file() else "[]"
    (data / file).write_text(content + " ")
    with pytest.raises(InputError, match="has changed since it was preprocessed"):
        NnUNetRun(data, tmp_path / "work", environment, settings).fit()
    assert (tmp_path / "env" / "calls").read_text() == called
    (mark,) = (tmp_path / "work" / "nnUNet_preprocessed").glob(f"*/{DONE}-*")
    volumes = [line for line in mark.read_text().splitlines() if ".json " not in line]
    mark.write_text("\n".join(volumes))  # as versions before wrote it
    NnUNetRun(data, tmp_path / "work", environment, settings).fit()


def test_another_data_set_under_the_same_number_is_refused(tmp_path: Path, data: Path) -> None:
    environment, settings = fake(tmp_path / "env"), NnUNetSettings(dataset_id=7, device="cpu")
    NnUNetRun(data, tmp_path / "work", environment, settings).fit()
    called = (tmp_path / "env" / "calls").read_text()
    for other in (tmp_path / "elsewhere" / "made", tmp_path / "others"):  # the same name, and another one
        shutil.copytree(data, other)
        with pytest.raises(InputError, match="holds another data set of the number 7"):
            NnUNetRun(other, tmp_path / "work", environment, settings).fit()
    nibabel.save(nibabel.load(data / "labelsTr" / "a.nii.gz"), data / "labelsTr" / "c.nii.gz")
    with pytest.raises(InputError, match="has changed since it was preprocessed"):
        NnUNetRun(data, tmp_path / "work", environment, settings).fit()
    assert (tmp_path / "env" / "calls").read_text() == called


@pytest.mark.parametrize("description", ["{", "[]", '{"modality": {"0": "FLAIR"}, "labels": {"0": "background"}}'])
def test_a_description_that_is_none_of_nnunet_2_is_refused(tmp_path: Path, data: Path, description: str) -> None:
    (data / "dataset.json").write_text(description)
    with pytest.raises(InputError, match=r"no data set of nnU-Net v2.*nnU-Net 1 wrote them otherwise"):
        NnUNetRun(data, tmp_path / "work", fake(tmp_path / "env"), NnUNetSettings())
