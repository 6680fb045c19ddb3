#!/usr/bin/env bash
# Guess, written down first: the same tensors and metadata make the same bytes each time, so a checksum can name them.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" safetensors==0.8.0 numpy==2.2.6
PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
import hashlib
import json
from importlib.metadata import version

import numpy as np
from safetensors.numpy import save

metadata = {name: name for name in "abcdefghijkl"}
files = [save({"weight": np.ones(3, np.float32)}, metadata=metadata) for _ in range(8)]
sums = {hashlib.sha256(file).hexdigest() for file in files}
headers = [json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")]) for file in files]
orders = {"".join(header["__metadata__"]) for header in headers}
print("version: safetensors", version("safetensors"))
print("behaviour: metadata is written in an order that changes from call to call: equal content, other bytes and checksums")
print("output: of 8 files of one content", len(sums), "checksums,", len(orders), "orders of the metadata;",
      "all headers equal:", all(header == headers[0] for header in headers))
raise SystemExit(not (len(sums) > 1 and all(header == headers[0] for header in headers)))
PYTHON
