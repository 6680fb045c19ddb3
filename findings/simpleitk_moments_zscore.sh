#!/usr/bin/env bash
# Guess, written down first: of two z-scored images, CenteredTransformInitializer by moments finds a shift of 4 mm as of the grey levels themselves, or says that an image whose sum is 0 has no centre.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" SimpleITK==2.5.7 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import numpy as np
import SimpleITK


def head(centre):
    z, y, x = np.indices((64, 64, 64))
    inside = (x - centre) ** 2 + (y - 32) ** 2 + (z - 32) ** 2 < 18**2
    return np.where(inside, np.random.default_rng(0).normal(300, 30, inside.shape), 0)


def zscore(values):
    brain = values[values != 0]
    return np.where(values != 0, (values - brain.mean()) / brain.std(), 0)


def shift(fixed, moving):
    images = [SimpleITK.GetImageFromArray(values.astype(np.float32)) for values in (fixed, moving)]
    by = SimpleITK.CenteredTransformInitializerFilter.MOMENTS
    return float(np.linalg.norm(SimpleITK.CenteredTransformInitializer(*images, SimpleITK.Euler3DTransform(), by).GetParameters()[3:]))


raw = shift(head(32), head(28))
scored = shift(zscore(head(32)), zscore(head(28)))
print("version: SimpleITK", SimpleITK.Version.VersionString())
print("behaviour: grey levels are weights; z-scores sum to nearly 0, so the centre is a quotient of roundings and lies beyond any head, without a word")
print(f"output: two heads 4 mm apart: {raw:.2f} mm from grey levels; from z-scores over a kilometre: {scored > 1e6}")
raise SystemExit(not (abs(raw - 4) < 0.1 and scored > 1e6))
PYTHON
