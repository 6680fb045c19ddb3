#!/usr/bin/env bash
# Guess, written down first: cn2an turns the words for seven or eight millimetres, and for three or four nodules, into a range, or leaves them alone.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --no-compile --target "$folder" cn2an==0.5.24
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import cn2an

texts = ["直径约七八毫米", "三四个结节", "两三个病灶", "直径三点五厘米"]  # 7 or 8 mm across, 3 or 4 nodules, 2 or 3 lesions, 3.5 cm
found = {text: cn2an.transform(text, "cn2an") for text in texts}
print("version: cn2an", version("cn2an"))
print("behaviour: two numbers beside each other are digits of one number: seven or eight millimetres are 78, three or four nodules 34")
print("output:", found)
raise SystemExit([found[text] for text in (texts[0], texts[1], texts[3])] != ["直径约78毫米", "34个结节", "直径3.5厘米"])
PYTHON
