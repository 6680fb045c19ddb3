"""Made sentences: whatever the order, the distance and the company, a "no" and a side stay with their own words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from annofree.reports import Certainty, Side, read_report

REGIONS = {
    "frontal lobe": "frontal",
    "temporal lobe": "temporal",
    "thalamus": "thalamus",
    "insula": "insula",
    "cerebellum": "cerebellum",
}
REGIONS_ZH = {"额叶": "frontal", "颞叶": "temporal", "丘脑": "thalamus", "岛叶": "insula", "小脑": "cerebellum"}
TUMOURS = [
    "mass",
    "glioma",
    "enhancing lesion",
    "tumor",
    "ring-enhancing lesion",
    "metastasis",
    "bright area",
    "cystic structure",
]
TUMOURS_ZH = ["占位", "胶质瘤", "肿块", "占位性病变"]
NEGATIONS = [
    "No {}.",
    "There is no {}.",
    "No evidence of {}.",
    "No edema, hemorrhage or {}.",
    "{} is not seen.",
    "Without {} or infarct.",
    "Negative for {}.",
]
NEGATIONS_ZH = ["未见{}。", "未见明显{}。", "无{}。", "未见出血、{}及水肿。"]
DISTRACTORS = [
    "The midline is shifted to the {other}.",
    "The {other} lateral ventricle is compressed.",
    "No lesion is seen in the {other} hemisphere.",
    "Mucosal thickening in the {other} maxillary sinus.",
    "Old lacunar infarct in the {other} pons.",
    "The {other} cerebellopontine cistern is clear.",
    "The patient is {other}-handed.",
    "The {other} frontal sulci are effaced.",
    "History of {other} frontal craniotomy.",
]
DISTRACTORS_ZH = [
    "中线结构向{other}移位。",
    "{other}侧脑室受压变窄。",
    "{other}侧大脑半球未见异常。",
    "{other}侧上颌窦炎。",
    "{other}侧额叶脑沟变浅。",
    "中线{other}移。",
]
TEMPLATES = [
    "A {size}{tumour} is seen in the {side} {region}.",
    "{Side} {region} {tumour}.",
    "{Tumour} located in the {side} {region}.",
    "There is a {size}{tumour} of the {region} on the {side}.",
    "In the {side} {region} there is a {size}{tumour}.",
]
sides = st.sampled_from([Side.LEFT, Side.RIGHT])
ZH = {Side.LEFT: "左", Side.RIGHT: "右"}


@given(
    side=sides,
    region=st.sampled_from(sorted(REGIONS)),
    tumour=st.sampled_from(TUMOURS),
    template=st.sampled_from(TEMPLATES),
    before=st.lists(st.sampled_from(DISTRACTORS), max_size=3),
    after=st.lists(st.sampled_from(DISTRACTORS), max_size=3),
    size=st.sampled_from(["", "large ", "2.5 cm ", "31 x 20 mm "]),
    shout=st.booleans(),
)
def test_lesion_keeps_its_side_in_any_company(
    side: Side, region: str, tumour: str, template: str, before: list[str], after: list[str], size: str, shout: bool
) -> None:
    lesion = template.format(
        side=side.value,
        Side=side.value.capitalize(),
        region=region,
        tumour=tumour,
        Tumour=tumour.capitalize(),
        size=size,
    )
    text = " ".join([*before, lesion, *after]).format(other=side.opposite.value)
    reading = read_report(text.upper() if shout else text)
    assert reading.tumour is Certainty.PRESENT
    assert reading.side is side
    assert reading.regions == (REGIONS[region],)
    if "cm" in lesion or "mm" in lesion:
        assert reading.lesions[0].size is not None


@given(
    side=sides,
    region=st.sampled_from(sorted(REGIONS_ZH)),
    tumour=st.sampled_from(TUMOURS_ZH),
    before=st.lists(st.sampled_from(DISTRACTORS_ZH), max_size=3),
    after=st.lists(st.sampled_from(DISTRACTORS_ZH), max_size=3),
    joint=st.sampled_from(["", "\n"]),
)
def test_chinese_lesion_keeps_its_side_in_any_company(
    side: Side, region: str, tumour: str, before: list[str], after: list[str], joint: str
) -> None:
    lesion = f"{ZH[side]}侧{region}见{tumour}，大小约3.1×2.0cm。"
    reading = read_report(joint.join([*before, lesion, *after]).format(other=ZH[side.opposite]))
    assert reading.side is side
    assert reading.regions == (REGIONS_ZH[region],)
    assert reading.lesions[0].size is not None


@given(
    template=st.sampled_from(NEGATIONS),
    tumour=st.sampled_from(TUMOURS),
    rest=st.lists(st.sampled_from(DISTRACTORS), max_size=3),
    side=sides,
)
def test_denied_lesion_is_no_lesion(template: str, tumour: str, rest: list[str], side: Side) -> None:
    text = " ".join([template.format(tumour), *rest]).format(other=side.value)
    assert read_report(text).lesions == ()


@given(template=st.sampled_from(NEGATIONS_ZH), tumour=st.sampled_from(TUMOURS_ZH))
def test_chinese_denied_lesion_is_no_lesion(template: str, tumour: str) -> None:
    assert read_report(template.format(tumour)).lesions == ()


@given(
    denied=st.sampled_from(["No hemorrhage", "There is no edema", "No infarct is seen"]),
    joint=st.sampled_from([". ", "; ", ", but ", "; however, ", ". However, "]),
    side=sides,
    tumour=st.sampled_from(TUMOURS),
)
def test_a_negation_ends_where_its_clause_ends(denied: str, joint: str, side: Side, tumour: str) -> None:
    reading = read_report(f"{denied}{joint}a {tumour} is seen in the {side.value} frontal lobe.")
    assert reading.side is side
    assert reading.tumour is Certainty.PRESENT


@given(st.text(alphabet=st.sampled_from("abc左右侧额叶占位mass left no.,;: \n12x(cm)[]*\\"), max_size=200))
def test_any_text_is_read_and_every_span_lies_in_it(text: str) -> None:
    reading = read_report(text)
    spans = (
        [f.span for f in reading.findings]
        + [c.span for f in reading.findings for c in f.cues]
        + [s.span for s in reading.sentences]
    )
    spans += [p.span for f in reading.findings for p in f.places] + [f.size.span for f in reading.findings if f.size]
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
