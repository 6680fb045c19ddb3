#!/usr/bin/env bash
# Guess, written down first: medspaCy reads a mass that has not changed as present, and a tumour that cannot be excluded as uncertain.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" medspacy==1.3.1
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import medspacy
from loguru import logger
from medspacy.ner import TargetRule

logger.remove()
nlp = medspacy.load()
nlp.get_pipe("medspacy_target_matcher").add([TargetRule(word, "FINDING") for word in ("mass", "tumor")])
texts = [
    "Enhancing mass in the left frontal lobe.",
    "No significant change in the enhancing mass in the left frontal lobe.",
    "There is no evidence of progression of the mass.",
    "No restricted diffusion in the mass.",
    "Cannot exclude residual tumor.",
    "Residual tumor cannot be excluded.",
    "History of glioblastoma, now with a mass in the resection cavity.",
]
found = {}
for text in texts:
    (finding,) = nlp(text).ents
    found[text] = "absent" if finding._.is_negated else "past" if finding._.is_historical else "uncertain" if finding._.is_uncertain else "present"
print("version: medspacy", version("medspacy"))
print("behaviour: a mass that is said not to have changed is absent, a tumour that cannot be excluded is absent or certain by the order of words, a new mass after a history is past")
print("output:", found)
raise SystemExit(list(found.values()) != ["present", "absent", "absent", "absent", "absent", "present", "past"])
PYTHON
