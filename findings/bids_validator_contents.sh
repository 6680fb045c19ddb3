#!/usr/bin/env bash
# Derivatives whose voxels contradict their own description: a label that the table beside it lacks, a probability of 5.
# Guess, written down first: an error for the label at least, since the table is checked for its columns.
# The guess was wrong: neither gives an error; a table without the column "index" does.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q bids-validator-deno==3.0.2 nibabel==5.4.2 numpy==2.4.6
PLACE="$place" PATH="$place/env/bin:$PATH" "$place/env/bin/python" - <<'PYTHON'
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np


def errors(name, array, table=None):
    root = Path(tempfile.mkdtemp())
    folder = root / "sub-01" / "anat"
    folder.mkdir(parents=True)
    about = {"Name": "n", "BIDSVersion": "1.10.0", "DatasetType": "derivative", "GeneratedBy": [{"Name": "made"}]}
    (root / "dataset_description.json").write_text(json.dumps(about))
    nib.save(nib.Nifti1Image(array, np.eye(4)), folder / f"{name}.nii.gz")
    if table is not None:
        (folder / f"{name}.tsv").write_text(table)
    done = subprocess.run(["bids-validator-deno", str(root), "--json"], capture_output=True, text=True)
    return sorted({i["code"] for i in json.loads(done.stdout)["issues"]["issues"] if i.get("severity") == "error"})


nine, five = np.full((8, 8, 8), 9, np.uint8), np.full((8, 8, 8), 5, np.float32)
found = {
    "label 9, table of label 1": errors("sub-01_desc-a_dseg", nine, "index\tname\n1\ta\n"),
    "probability 5": errors("sub-01_desc-a_probseg", five),
    "table without index": errors("sub-01_desc-a_dseg", nine, "label\tmeaning\n9\ta\n"),
}
print("version: bids-validator-deno 3.0.2")
print("behaviour: headers of tables are checked, voxels are not: a label that its table lacks and a probability of 5 are no errors")
print("output:", found)
sys.exit(list(found.values()) != [[], [], ["TSV_COLUMN_MISSING"]])
PYTHON
