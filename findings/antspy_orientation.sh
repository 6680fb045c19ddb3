#!/usr/bin/env bash
# Guess, written down first: three letters name the same axes in ANTsPy, SimpleITK and nibabel: asked for RAS, both give a file that nibabel calls RAS.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" antspyx==0.6.3 SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import tempfile
from importlib.metadata import version
from pathlib import Path

import ants
import nibabel
import numpy as np
import SimpleITK


def letters(path):
    return "".join(nibabel.aff2axcodes(nibabel.load(path).affine))


with tempfile.TemporaryDirectory() as folder:
    source, by_ants, by_itk = (str(Path(folder) / f"{name}.nii.gz") for name in ("lps", "ants", "itk"))
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), np.diag([-1, -1, 1, 1])), source)
    image = ants.image_read(source)
    ants.image_write(ants.reorient_image2(image, "RAS"), by_ants)
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(SimpleITK.ReadImage(source), "RAS"), by_itk)
    found = (letters(source), image.orientation, letters(by_itk), letters(by_ants))
print("version: antspyx", version("antspyx"), "; SimpleITK", SimpleITK.Version.VersionString(), "; nibabel", version("nibabel"))
print("behaviour: ANTsPy's letters say where an axis comes from, those of nibabel and SimpleITK where it goes to: RAS turns all three round")
print("output: a file that nibabel calls", found[0], "is", found[1], "to ANTsPy; turned to RAS it is, to nibabel,", found[2], "from SimpleITK and", found[3], "from ANTsPy")
raise SystemExit(found != ("LPS", "RAI", "RAS", "LPI"))
PYTHON
