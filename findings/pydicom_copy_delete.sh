#!/usr/bin/env bash
# Dataset.copy(), then an element is deleted from the copy: the usual way to take a name out of one version only.
# Guess, written down first: the original keeps its element, as with a dict and its copy.
# The guess was wrong: the element is gone from the original too; only copy.deepcopy gives a data set of its own.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q pydicom==3.0.2
PLACE="$place" PATH="$place/env/bin:$PATH" "$place/env/bin/python" - <<'PYTHON'
import copy
import sys

from pydicom.dataset import Dataset

found = {}
for name, make in (("Dataset.copy", Dataset.copy), ("copy.copy", copy.copy), ("copy.deepcopy", copy.deepcopy)):
    original = Dataset()
    original.PatientName = "a"
    twin = make(original)
    del twin.PatientName
    found[name] = "PatientName" in original
plain = {"PatientName": "a"}
twin = plain.copy()
del twin["PatientName"]
print("version: pydicom 3.0.2")
print("behaviour: an element deleted from a copy is deleted from the original as well, unless the copy is deep; a dict keeps its own")
print("output: original keeps it:", found, "dict:", "PatientName" in plain)
sys.exit(found != {"Dataset.copy": False, "copy.copy": False, "copy.deepcopy": True})
PYTHON
