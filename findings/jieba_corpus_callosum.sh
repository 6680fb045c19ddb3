#!/usr/bin/env bash
# Guess, written down first: jieba keeps 胼胝体 (corpus callosum) as one word, as it keeps 额叶, 颞叶, 强化 and 水肿.
# The guess was wrong. Prints version, behaviour and output; exits with 1 when the behaviour has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action ignore --target "$folder" jieba==0.42.1
TMPDIR="$folder" PYTHONPATH="$folder" python3 -W ignore - <<'PYTHON'
from importlib.metadata import version

import jieba

jieba.setLogLevel(60)
terms = {
    "额叶": "frontal lobe",
    "颞叶": "temporal lobe",
    "侧脑室": "lateral ventricle",
    "水肿": "oedema",
    "强化": "enhancement",
    "胼胝体": "corpus callosum",
    "胶质母细胞瘤": "glioblastoma",
}
found = {term: jieba.lcut(term) for term in terms}
print("version: jieba", version("jieba"))
print("behaviour: the words of a report are cut where its lobes are not: the corpus callosum falls into 'callus' and 'body', "
      "and glioblastoma into three")
print("output:", ", ".join(f"{terms[term]} {'|'.join(words)}" for term, words in found.items()))
whole = [term for term, words in found.items() if len(words) == 1]
raise SystemExit(whole != list(terms)[:5] or found["胼胝体"] != ["胼胝", "体"])
PYTHON
