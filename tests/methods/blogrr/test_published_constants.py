"""`preset=published` has the published constants, each can be set, and the user's own atlas and table are used."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from annofree.errors import SettingsError
from annofree.methods.blogrr import BlogrrSettings
from annofree.methods.reconstruction.error_map import ErrorSettings
from annofree.reports import AtlasRegions, RegionTable
from annofree.scan import Modality, Scan
from annofree.thresholds.report_targets import ReportTargetSettings, report_target


def test_the_published_preset_has_the_published_constants() -> None:
    own = BlogrrSettings(preset="published")
    form = own.bilevel(ErrorSettings(), healthy_slices=1000, patient_slices=130)
    assert (form.rounds, form.batch, form.lower_rate, form.upper_rate) == (101, 64, 1e-4, 1e-5)
    assert (form.weight_decay, form.tolerance, form.warmup, form.slope, form.outside) == (1e-5, 0.5, 1, 50.0, 0.0)
    assert (form.gate, form.gate_on, form.loss, form.dice, form.hypergradient) == (
        "hard",
        "squared",
        "mse+tolerance",
        "pooled",
        "first-order",
    )
    assert (form.lower_steps, form.upper_steps) == (16, 3)  # an epoch of each set
    assert form.keep == "lowest"
    assert not own.pretrains
    assert own.use == "published"
    assert own.threshold_network().widths == (64, 128, 256, 512)  # type: ignore[attr-defined]


def test_what_is_set_replaces_a_presets_constant_and_nothing_else() -> None:
    changes = {"rounds": 3, "bilevel_batch": 4, "bilevel_steps": 2, "lower_rate": 1e-2, "upper_rate": 1e-3}
    words = {"keep": "last", "loss": "tolerance", "dice": "per-sample", "hypergradient": "implicit"}
    for preset, gate in (("published", "hard"), ("default", "soft")):
        own = BlogrrSettings(preset=preset, pretrain=True, **changes, **words)
        form = own.bilevel(ErrorSettings(), 1000, 130)
        assert own.pretrains
        assert (form.rounds, form.batch, form.lower_steps, form.upper_steps) == (3, 4, 2, 2)
        assert (form.lower_rate, form.upper_rate, form.gate) == (1e-2, 1e-3, gate)
        assert form.keep == "last"
        assert (form.loss, form.dice, form.hypergradient) == ("tolerance", "per-sample", "implicit")
    form = BlogrrSettings(threshold="network").bilevel(ErrorSettings(), 1000, 130)
    assert (form.rounds, form.batch, form.lower_steps, form.upper_rate, form.outside) == (20, 8, 10, 1e-3, 0.5)


def test_an_atlas_needs_its_table() -> None:
    with pytest.raises(SettingsError, match="image with a table"):
        BlogrrSettings(atlas="atlas.nii.gz")


def test_the_users_table_names_the_regions(tmp_path: Path) -> None:
    from annofree.anatomy.align import Alignment
    from annofree.anatomy.atlas import Atlas

    labels = np.zeros((40, 40, 40), np.int16)
    labels[:20] = 1  # left of x = 0
    labels[20:, :20] = 2
    labels[20:, 20:] = 3
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -60.0
    nibabel.save(nibabel.Nifti1Image(labels, affine), tmp_path / "atlas.nii.gz")
    (tmp_path / "regions.csv").write_text(
        "index,name,side,lobe\n1,Frontal_L,left,frontal\n2,Frontal_R,right,frontal\n3,Temporal_R,right,temporal\n"
    )
    # this table calls the front right part temporal, against the atlas' own
    (tmp_path / "table.csv").write_text("id,Orientation,Coarse Level\n1,0,Frontal\n2,1,Temporal\n3,1,Frontal\n")
    regions = AtlasRegions(Atlas.from_files(tmp_path / "atlas.nii.gz", tmp_path / "regions.csv"))
    table = RegionTable.load(tmp_path / "table.csv")
    table.check(regions)
    image = np.ones((40, 40, 40), np.float32)
    scan = Scan("p", {Modality.T2: image}, affine, report="A mass in the right temporal lobe.")
    scan = scan.replace(brain=image > 0)
    identity = Alignment(np.eye(4), 1.0, 1.0, plausible=True)
    for chosen, wanted in ((None, 3), (table, 2)):
        found = report_target(scan, regions, ReportTargetSettings(use="published"), alignment=identity, table=chosen)
        assert found is not None
        values, counts = np.unique(labels[found.inside], return_counts=True)
        assert values[counts.argmax()] == wanted
        assert counts.max() > 0.9 * counts.sum()
