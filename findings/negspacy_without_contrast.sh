#!/usr/bin/env bash
# Guess, written down first: negspacy leaves a mass alone that an examination without contrast shows.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" negspacy==1.1.0 spacy==3.8.18
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import spacy
from negspacy.negation import Negex  # registers the component

reader = spacy.blank("en")
reader.add_pipe("sentencizer")
reader.add_pipe("entity_ruler").add_patterns([{"label": "FINDING", "pattern": word} for word in ("mass", "hemorrhage", "progression")])
reader.add_pipe("negex", config={"ent_types": ["FINDING"]})
texts = (
    "MRI without contrast: a mass in the left frontal lobe.",
    "MRI with contrast: a mass in the left frontal lobe.",
    "No progression; the mass is stable.",
    "No progression, but the mass is stable.",
)
found = {text: {entity.text: entity._.negex for entity in reader(text).ents} for text in texts}
print("version: negspacy", version("negspacy"), "; spacy", version("spacy"), ";", Negex.__name__)
print("behaviour: without contrast denies whatever follows it, and a colon or semicolon does not end what is denied: the mass is absent")
print("output (True is denied):", found)
raise SystemExit(
    list(found.values())
    != [{"mass": True}, {"mass": False}, {"progression": True, "mass": True}, {"progression": True, "mass": False}]
)
PYTHON
