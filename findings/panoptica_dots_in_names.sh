#!/usr/bin/env bash
# What one would expect: panoptica compares sub.1.nii.gz with sub.2.nii.gz as two NIfTI files.
# It is not so. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" panoptica==2.1.7 connected-components-3d==3.29.0 numpy==2.2.6 nibabel==5.4.2
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import contextlib
import io
import tempfile
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
from panoptica import (
    ConnectedComponentsInstanceApproximator,
    InputType,
    NaiveThresholdMatching,
    Panoptica_Evaluator,
    disable_citation_reminder,
)

disable_citation_reminder()
mask = np.zeros((20, 20, 20), np.uint8)
mask[5:10, 5:10, 5:10] = 1


def evaluate(first: str, second: str) -> str:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        paths = [str(Path(folder) / name) for name in (first, second)]
        for path in paths:
            nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), path)
        evaluator = Panoptica_Evaluator(
            expected_input=InputType.SEMANTIC,
            instance_approximator=ConnectedComponentsInstanceApproximator(),
            instance_matcher=NaiveThresholdMatching(),
        )
        try:
            return f"compared, {evaluator.evaluate(*paths, verbose=False)['ungrouped'].tp} lesion"
        except ValueError as error:
            return f"ValueError: {error}"


found = evaluate("case_1.nii.gz", "case_2.nii.gz"), evaluate("case.1.nii.gz", "case.2.nii.gz")
print("version: panoptica", version("panoptica"))
print("behaviour: a dot in the name counts as part of the ending, so two NIfTI files are refused as of different kinds")
print("output:", " | ".join(found))
raise SystemExit(not (found[0] == "compared, 1 lesion" and found[1].startswith("ValueError: prediction and reference")))
PYTHON
