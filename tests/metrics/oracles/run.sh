#!/usr/bin/env bash
# Checks annofree's scores against the published programs, in an environment of its own (several hundred MB).
set -euo pipefail
cd "$(dirname "$0")/../../.."
venv=${ORACLES_VENV:-.venv-oracles}
here=tests/metrics/oracles
stamp=$venv/.ready
if ! cmp -s "$here/requirements.txt" "$stamp"; then
    "${PYTHON:-python3}" -m venv "$venv"
    # torch first and pinned: MONAI's own wish would bring several GB of CUDA packages
    "$venv/bin/pip" install -q --disable-pip-version-check -c constraints.txt torch
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$stamp"
fi
failed=0
for check in check_oracles check_rules check_definitions; do
    echo "== $check"
    PYTHONPATH=src "$venv/bin/python" -W ignore "$here/$check.py" || failed=1
done
exit $failed
