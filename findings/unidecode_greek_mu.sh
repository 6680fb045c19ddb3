#!/usr/bin/env bash
# Guess, written down first: a text made ASCII keeps its measures: a micrometre stays one, and one and a half centimetres too.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" Unidecode==1.4.0 anyascii==0.3.3
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

from anyascii import anyascii
from unidecode import unidecode

texts = ("5 \u03bcm", "5 \u00b5m", "1\u00bd cm")  # Greek mu, the micro sign, one and a half
found = {text: (unidecode(text), anyascii(text)) for text in texts}
print("version: Unidecode", version("Unidecode"), "; anyascii", version("anyascii"))
print("behaviour: a micrometre written with the Greek letter becomes a millimetre in both, written with the micro sign it does not; "
      "of 1\u00bd cm anyascii makes 11/2")
print("output: (Unidecode, anyascii)", found)
raise SystemExit(list(found.values()) != [("5 mm", "5 mm"), ("5 um", "5 um"), ("1 1/2 cm", "11/2 cm")])
PYTHON
