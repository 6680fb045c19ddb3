#!/usr/bin/env bash
# Guess, written down first: pint reads 1 500 mm^3, grouped as the SI brochure asks, as 1500 cubic millimetres or refuses it.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" pint==0.25.3
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import pint

read = pint.UnitRegistry()
found = {text: str(read(text)) for text in ("1500 mm^3", "1 500 mm^3", "12 000 mm^3", "1,500 mm^3", "1,5 ml")}
print("version: pint", version("pint"))
print("behaviour: a space multiplies: what is grouped by thousands loses its thousands, or is 0; a comma is dropped: 1,5 ml, as half of Europe writes it, is 15")
print("output:", found)
raise SystemExit(
    found
    != {
        "1500 mm^3": "1500 millimeter ** 3",
        "1 500 mm^3": "500 millimeter ** 3",
        "12 000 mm^3": "0 millimeter ** 3",
        "1,500 mm^3": "1500 millimeter ** 3",
        "1,5 ml": "15 milliliter",
    }
)
PYTHON
