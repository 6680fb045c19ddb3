"""The radiologist's text for a phantom, in English and Chinese, from its known findings.

Both texts state the same facts. Distractors are part of every report: lobes said to be clear, a midline shift whose
side is not the tumour's, a compressed ventricle, hyperintensities of age, fluid in a mastoid or a sinus.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: One, both, and in Chinese.
_LOBES = {
    "frontal": ("frontal lobe", "frontal lobes", "额叶"),
    "parietal": ("parietal lobe", "parietal lobes", "顶叶"),
    "temporal": ("temporal lobe", "temporal lobes", "颞叶"),
    "occipital": ("occipital lobe", "occipital lobes", "枕叶"),
    "insula": ("insula", "insulae", "岛叶"),
    "deep grey matter": ("basal ganglia", "basal ganglia", "基底节区"),
    "cerebellum": ("cerebellar hemisphere", "cerebellar hemispheres", "小脑半球"),
    "brainstem": ("brainstem", "brainstem", "脑干"),
}
_ZH_SIDE = {"left": "左侧", "right": "右侧", "bilateral": "双侧"}

# Signal of each kind: (English, Chinese).
_SIGNAL: dict[str, tuple[str, str]] = {
    "glioblastoma": (
        "It is of mixed signal with a necrotic centre and shows thick, irregular ring enhancement after contrast.",
        "信号混杂，中央见坏死，增强扫描呈不规则厚壁环形强化。",
    ),
    "diffuse": (
        "It is hypointense on T1 and hyperintense on T2 and FLAIR.",
        "T1WI呈低信号，T2WI及FLAIR呈高信号。",
    ),
    "isointense": (
        "It is hypointense on T1, slightly hyperintense on T2 and nearly isointense on FLAIR.",
        "T1WI呈低信号，T2WI呈稍高信号，FLAIR呈近等信号。",
    ),
    "hypointense": (
        "It is hyperintense on T2 and hypointense on FLAIR except for a bright rim (T2-FLAIR mismatch).",
        "T2WI呈高信号，FLAIR除边缘外呈低信号（T2-FLAIR不匹配征）。",
    ),
    "cystic": (
        "It is cystic, follows fluid on all sequences, and has an enhancing mural nodule.",
        "病变呈囊性，各序列信号近似脑脊液，囊壁见强化结节。",
    ),
    "meningioma": (
        "It is extra-axial with a broad dural base and enhances homogeneously.",
        "病变位于脑外，以宽基底与硬脑膜相连，增强后明显均匀强化。",
    ),
    "metastases": (
        "The lesions show ring enhancement with a necrotic centre.",
        "病灶增强后呈环形强化，中央坏死。",
    ),
}
_DIAGNOSIS: dict[str, tuple[str, str]] = {
    "glioblastoma": ("high-grade glioma is likely", "考虑高级别胶质瘤"),
    "diffuse": ("diffuse glioma is likely", "考虑弥漫性胶质瘤"),
    "isointense": ("glioma is suspected", "胶质瘤可能"),
    "hypointense": ("astrocytoma is likely", "考虑星形细胞瘤"),
    "cystic": ("cystic astrocytoma is likely", "考虑囊性星形细胞瘤"),
    "meningioma": ("meningioma is likely", "考虑脑膜瘤"),
    "metastases": ("metastases are likely", "考虑转移瘤"),
}


def _place(side: str, lobe: str) -> tuple[str, str]:
    one, both, zh = _LOBES[lobe]
    if lobe == "brainstem":
        return f"the {one}", zh
    return f"both {both}" if side == "bilateral" else f"the {side} {one}", _ZH_SIDE[side] + zh


def _size(size_mm: list[int], style: str) -> str:
    if style == "mm":
        return " x ".join(str(s) for s in size_mm) + " mm"
    if style == "cm":
        return " x ".join(f"{s / 10:.1f}" for s in size_mm) + " cm"
    return f"{max(size_mm) / 10:.1f} cm"


def write_report(rng: np.random.Generator, findings: dict[str, Any]) -> tuple[str, str]:
    """The English and Chinese report of a subject's known answers, in random words and order."""
    style = str(rng.choice(["mm", "cm", "longest"]))
    body = _lesions(rng, findings, style) + _mass_effect(findings)
    clear = [_place(n["side"], n["lobe"]) for n in findings["negated"]]
    negated = [(f"No abnormality in {place}.", f"{zh_place}未见异常信号。") for place, zh_place in clear]
    others = negated + _incidental(findings)
    order = rng.permutation(len(others))
    body += [others[int(i)] for i in order]
    impression = _impression(findings)
    english = (
        "TECHNIQUE: MRI of the brain with T1, T2, FLAIR and contrast-enhanced T1 sequences.\n"
        f"FINDINGS: {' '.join(en for en, _ in body)}\n"
        f"IMPRESSION: {impression[0]}\n"
    )
    chinese = (
        "检查方法：头颅MRI平扫及增强（T1WI、T2WI、FLAIR、T1WI增强）。\n"
        f"影像所见：{''.join(zh for _, zh in body)}\n"
        f"诊断意见：{impression[1]}\n"
    )
    return english, chinese


def _lesions(rng: np.random.Generator, findings: dict[str, Any], style: str) -> list[tuple[str, str]]:
    if not findings["tumour"]:
        return [("No mass and no abnormal enhancement.", "脑内未见占位性病变，增强扫描未见异常强化。")]
    kind = findings["kind"]
    sentences: list[tuple[str, str]] = []
    for number, lesion in enumerate(findings["lesions"]):
        rest = [_place(lesion["side"], lobe) for lobe in lesion["lobes"] if lobe != lesion["lobe"]]
        place, zh_place = _place(lesion["side"], lesion["lobe"])
        extent = f", extending into {' and '.join(en for en, _ in rest)}" if rest else ""
        zh_extent = f"，累及{'、'.join(zh for _, zh in rest)}" if rest else ""
        size = _size(lesion["size_mm"], style)
        measured = f"measuring {size} including oedema" if lesion["oedema_ml"] > 0.5 else f"measuring {size}"
        zh_size = size.replace(" x ", "×").replace(" ", "")
        zh_measured = f"大小约{zh_size}" + ("（含水肿）" if lesion["oedema_ml"] > 0.5 else "")
        opening = str(rng.choice(["There is a mass in", "A space-occupying lesion is seen in"]))
        if number:
            opening = "A further lesion lies in"
        zh_opening = f"{zh_place}见{'另一' if number else ''}占位性病变"
        sentences.append((f"{opening} {place}{extent}, {measured}.", f"{zh_opening}{zh_extent}，{zh_measured}。"))
    sentences.append(_SIGNAL[kind])
    if kind in ("diffuse", "isointense", "hypointense"):
        sentences.append(
            ("It enhances in a small part.", "增强后见小片状强化。")
            if findings["enhancing"]
            else ("No enhancement is seen.", "增强后未见强化。")
        )
    if sum(lesion["oedema_ml"] for lesion in findings["lesions"]) > 10:
        sentences.append(("There is marked surrounding oedema.", "周围见明显水肿。"))
    return sentences


def _mass_effect(findings: dict[str, Any]) -> list[tuple[str, str]]:
    side, shift = findings["ventricle_compressed"], findings["midline_shift"]
    ventricles = ("The ventricles are not compressed.", "脑室系统未见受压。")
    if side:
        ventricles = f"The {side} lateral ventricle is compressed.", f"{_ZH_SIDE[side]}侧脑室受压变窄。"
    if not shift:
        return [ventricles, ("There is no midline shift.", "中线结构居中。")]
    to, mm = shift["to"], shift["mm"]
    return [
        ventricles,
        (f"The midline is shifted to the {to} by {mm} mm.", f"中线结构向{_ZH_SIDE[to][0]}移位约{mm}mm。"),
    ]


def _incidental(findings: dict[str, Any]) -> list[tuple[str, str]]:
    sentences: list[tuple[str, str]] = []
    load = findings["white_matter_hyperintensity_ml"]
    if load >= 2:
        word, zh = ("Confluent", "融合性") if load >= 10 else ("Scattered", "散在")
        sentences.append(
            (
                f"{word} white-matter hyperintensities in both hemispheres are in keeping with small-vessel disease.",
                f"双侧大脑半球白质见{zh}高信号，考虑小血管病变。",
            )
        )
    where = findings["incidental"]
    if where:
        side, what = where["side"], where["what"]
        sentences.append(
            (f"Fluid in the {side} mastoid air cells.", f"{_ZH_SIDE[side]}乳突积液。")
            if what == "mastoid"
            else (f"Mucosal thickening in the {side} maxillary sinus.", f"{_ZH_SIDE[side]}上颌窦黏膜增厚。")
        )
    return sentences


def _impression(findings: dict[str, Any]) -> tuple[str, str]:
    if not findings["tumour"]:
        return "No evidence of an intracranial tumour.", "颅内未见肿瘤征象。"
    diagnosis, zh_diagnosis = _DIAGNOSIS[findings["kind"]]
    places = list(dict.fromkeys((lesion["side"], lesion["lobe"]) for lesion in findings["lesions"]))
    where = " and ".join(_place(*p)[0] for p in places)
    zh_where = "、".join(_place(*p)[1] for p in places)
    noun = "Masses" if len(findings["lesions"]) > 1 else "Mass"
    return f"{noun} in {where}; {diagnosis}.", f"{zh_where}占位性病变，{zh_diagnosis}。"
