#!/usr/bin/env bash
# Guess, written down first: a wrong file name in derivatives/tool of a raw data set is reported like one of the raw data.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" bids-validator-deno==3.0.2 deno==2.9.8 nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" NO_COLOR=1 python3 -W ignore - "$folder" <<'PYTHON'
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np

folder = Path(sys.argv[1])
image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4))


def describe(where: Path, kind: str) -> None:
    (where / "sub-01" / "anat").mkdir(parents=True)
    text = {"Name": "Made", "BIDSVersion": "1.10.0", "DatasetType": kind, "GeneratedBy": [{"Name": "tool"}]}
    (where / "dataset_description.json").write_text(json.dumps(text))
    (where / "README.md").write_text("Made to see which names the validator looks at.\n")


def errors(where: Path) -> list[str]:
    bundle = folder / "bids_validator_deno" / "bids-validator.js"
    run = [folder / "bin" / "deno", "run", "--allow-read", "--allow-env", "--allow-write", bundle, where, "--json"]
    issues = json.loads(subprocess.run(run, capture_output=True, text=True).stdout)["issues"]["issues"]
    return sorted({f"{issue['code']} {issue['location']}" for issue in issues if issue["severity"] == "error"})


raw = folder / "data"
describe(raw, "raw")
nibabel.save(image, raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
tool = raw / "derivatives" / "tool"
describe(tool, "derivative")
nibabel.save(image, tool / "sub-01" / "anat" / "sub-01_tumourmask.nii.gz")
whole, alone = errors(raw), errors(tool)
print("version: bids-validator-deno", version("bids-validator-deno"))
print("behaviour: derivatives inside a raw data set are passed over without a word; they are looked at only when named themselves")
print("output: errors of the whole", whole, "; of derivatives/tool by itself", alone)
raise SystemExit(whole != [] or alone != ["NOT_INCLUDED /sub-01/anat/sub-01_tumourmask.nii.gz"])
PYTHON
