#!/usr/bin/env bash
# Guess, written down first: quantulum3 reads the three diameters of a lesion as three lengths.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" quantulum3==0.10.0
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import logging
from importlib.metadata import version

logging.disable(logging.CRITICAL)
from quantulum3 import parser

texts = ("a mass of 3.2 x 2.1 x 4.5 cm", "a nodule of 5x5mm", "a nodule of 5 mm", "a nodule of half a centimeter")
found = {text: [(quantity.value, quantity.unit.name) for quantity in parser.parse(text)] for text in texts}
print("version: quantulum3", version("quantulum3"))
print("behaviour: of several diameters the last alone is a length, written without spaces none is, and half a centimetre is one over a length")
print("output:", found)
raise SystemExit(
    found
    != {
        texts[0]: [(3.2, "dimensionless"), (2.1, "dimensionless"), (4.5, "centimetre")],
        texts[1]: [],
        texts[2]: [(5.0, "millimetre")],
        texts[3]: [(0.5, "per centimetre")],
    }
)
PYTHON
