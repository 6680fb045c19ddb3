"""Speed of the report reader, and with real texts its precision and recall.

    python benchmarks/bench_reports.py [--reports 3000] [--data ../shared/data/reports]

Speed: made reports in English and Chinese of five to six sentences, read one after the other on one core; beside it
the straight way of finding the same words, one compiled expression a term, in the same process. Precision and recall:
the half of the real texts that was kept back while the rules were written (`tests/reports/held_out.py` says how).
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reports"))
import held_out

import annofree.reports.lexicon
from annofree.reports import Lexicon, read_report

ENGLISH = (
    "FINDINGS: There is a {size} heterogeneously enhancing mass in the {side} {region} lobe with surrounding edema.",
    "The {side} lateral ventricle is compressed and the midline is shifted to the {other} by 5 mm.",
    "Central necrosis is seen; no hemorrhage and no restricted diffusion.",
    "The {other} cerebral hemisphere, the cerebellum and the brainstem are normal.",
    "Mild mucosal thickening in the {other} maxillary sinus. No abnormality of the orbits.",
    "IMPRESSION: {side} {region} mass, suspicious for high-grade glioma.",
)
CHINESE = (
    "影像所见：{side}侧{region}见团块状长T1长T2信号，大小约{size}，周围见大片水肿。",
    "{side}侧侧脑室受压变窄，中线结构向{other}移位。",
    "增强扫描呈环形强化，未见出血。",
    "小脑、脑干未见异常信号，{other}侧大脑半球未见异常。",
    "诊断意见：{side}侧{region}占位，考虑高级别胶质瘤。",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=int, default=3000)
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    texts = made_reports(arguments.reports, np.random.default_rng(0))
    lexicon = Lexicon.load()
    read_report(texts[0])
    seconds = timed(lambda text: read_report(text, lexicon=lexicon), texts)
    length = sum(map(len, texts)) / len(texts)
    print(f"{len(texts)} made reports of {length:.0f} characters: {1000 * seconds / len(texts):.2f} ms each,")
    print(f"{60 * len(texts) / seconds:.0f} a minute on one core (processor time)")
    finding = timed(lexicon.scan, texts)
    some = texts[:: max(1, len(texts) // 100)]
    straight = [re.compile(rf"(?<![a-z]){re.escape(term)}(?![a-z])", re.IGNORECASE) for term in written_terms()]
    one_each = timed(lambda text: [list(pattern.finditer(text)) for pattern in straight], some) / len(some) * len(texts)
    print(f"finding the words alone: {1000 * finding / len(texts):.2f} ms in one pass; {len(straight)} expressions")
    print(f"one after the other: {1000 * one_each / len(texts):.1f} ms, {one_each / finding:.0f} times as long")
    if arguments.data:
        counts, misread = held_out.score(held_out.all_texts(arguments.data))
        for question, count in counts.items():
            print(f"{question:20s} {count}")
        print("misread:", ", ".join(misread) or "none")


def written_terms() -> list[str]:
    """Every term of the lexicon file."""
    content = yaml.safe_load(Path(annofree.reports.lexicon.__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    found: list[str] = []
    waiting = [content]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            lists = [node[language] for language in ("en", "zh") if isinstance(node.get(language), list)]
            found += [str(term) for terms in lists for term in terms]
            waiting += node.values()
    return found


def timed(read: Callable[[str], object], texts: list[str]) -> float:
    started = time.process_time()
    for text in texts:
        read(text)
    return time.process_time() - started


def made_reports(count: int, rng: np.random.Generator) -> list[str]:
    regions = (("frontal", "额叶"), ("temporal", "颞叶"), ("parietal", "顶叶"), ("occipital", "枕叶"))
    texts = []
    for number in range(count):
        english, chinese = regions[rng.integers(len(regions))]
        left = bool(rng.integers(2))
        size = " x ".join(f"{value:.1f}" for value in rng.uniform(1, 6, 3)) + " cm"
        if number % 3 == 2:
            sides = ("左", "右") if left else ("右", "左")
            texts.append("".join(CHINESE).format(side=sides[0], other=sides[1], region=chinese, size=size))
        else:
            sides = ("left", "right") if left else ("right", "left")
            texts.append(" ".join(ENGLISH).format(side=sides[0], other=sides[1], region=english, size=size))
    return texts


if __name__ == "__main__":
    main()
