"""A report that is misread puts a tumour on the wrong side of a training set: sentences that must not be misread."""

from __future__ import annotations

import pytest

from annofree.reports import Certainty, Side, read_report

LEFT, RIGHT, BOTH, MIDDLE = Side.LEFT, Side.RIGHT, Side.BILATERAL, Side.MIDLINE

# text, side of the lesion, its regions
LESIONS = [
    ("Ill-defined high T2 signal in the right temporal lobe. No midline shift.", RIGHT, {"temporal"}),
    ("Increased T2/FLAIR signal in the left insula.", LEFT, {"insula"}),
    ("Ring-enhancing process in the left temporal lobe.", LEFT, {"temporal"}),
    ("MRI without contrast: a mass in the left frontal lobe.", LEFT, {"frontal"}),
    ("No progression; the mass in the left frontal lobe is stable.", LEFT, {"frontal"}),
    ("Enhancing mass in the left frontal lobe.", LEFT, {"frontal"}),
    ("There is a right parieto-occipital mass.", RIGHT, {"parietal", "occipital"}),
    ("Right-sided frontotemporal glioma.", RIGHT, {"frontal", "temporal"}),
    ("Tumor in the frontal and parietal lobes of the left cerebral hemisphere.", LEFT, {"frontal", "parietal"}),
    ("Tumor in the left hemisphere, mainly in the temporal lobe.", LEFT, {"temporal"}),
    (
        "Both frontal lobes are infiltrated by a glioma crossing the corpus callosum.",
        BOTH,
        {"frontal", "corpus_callosum"},
    ),
    ("Mass lesions in the left and right cerebellar hemispheres.", BOTH, {"cerebellum"}),
    ("Lesion of the parietal lobe on the right.", RIGHT, {"parietal"}),
    ("Metastases in the frontal lobes bilaterally.", BOTH, {"frontal"}),
    ("Left thalamic glioma with midline shift to the right.", LEFT, {"thalamus"}),
    ("Left temporal tumor; the right lateral ventricle is dilated.", LEFT, {"temporal"}),
    ("Mass in the left insula. Right to left midline shift of 5 mm.", LEFT, {"insula"}),
    ("Bright T2 mass in the left occipital lobe.", LEFT, {"occipital"}),
    ("A pontine glioma is seen.", MIDDLE, {"brainstem"}),
    ("Suprasellar mass, likely craniopharyngioma.", MIDDLE, {"sella"}),
    ("Mass in the left hippocampus and temporal lobe.", LEFT, {"hippocampus"}),
    ("Large mass of the right middle frontal gyrus in the frontal lobe.", RIGHT, {"middle_frontal"}),
    ("A mass is present. It is located in the left parietal lobe.", LEFT, {"parietal"}),
    ("Glioma of the left frontal lobe. The mass extends into the right frontal lobe.", BOTH, {"frontal"}),
    ("The midline is displaced to the left by a right temporal mass.", RIGHT, {"temporal"}),
    ("Right frontal mass effacing the left lateral ventricle.", RIGHT, {"frontal"}),
    ("Ring-enhancing lesion extending to the left parietal lobe.", LEFT, {"parietal"}),
    ("右侧额叶占位性病变，中线结构左移。", RIGHT, {"frontal"}),
    ("左侧颞顶叶见团块状异常信号，左侧侧脑室受压，中线向右移位。", LEFT, {"temporal", "parietal"}),
    ("双侧额叶见胶质瘤，累及胼胝体。", BOTH, {"frontal", "corpus_callosum"}),
    ("左侧小脑半球见占位。", LEFT, {"cerebellum"}),
    ("右额叶、颞叶及岛叶见片状长T1长T2信号。", RIGHT, {"frontal", "temporal", "insula"}),
    ("左侧丘脑、右侧额叶见转移瘤。", BOTH, {"thalamus", "frontal"}),
    ("脑干见占位。", MIDDLE, {"brainstem"}),
    ("鞍区见占位，考虑垂体瘤。", MIDDLE, {"sella"}),
    ("大脑半球左侧顶叶见肿块。", LEFT, {"parietal"}),
]

NO_LESION = [
    "No mass.",
    "There is no evidence of mass, midline shift, hemorrhage or infarction.",
    "No intracranial tumor or metastasis is seen.",
    "Mass lesion is not identified.",
    "No mass in the left frontal lobe.",
    "The brain is normal. The ventricles are unremarkable.",
    "No abnormal enhancement. No mass effect.",
    "Old infarct in the right parietal lobe.",
    "Scattered white matter hyperintensities consistent with small vessel disease.",
    "Periventricular T2 hyperintensity.",
    "Demyelinating lesions in the left frontal white matter.",
    "Left subdural hematoma with mass effect and midline shift to the right.",
    "History of left frontal glioma.",
    "CLINICAL HISTORY: Brain tumor.\nFINDINGS: Normal brain.",
    "INDICATION: rule out mass. FINDINGS: Unremarkable. IMPRESSION: Normal MRI of the brain.",
    "Mass in the left maxillary sinus.",
    "MRI L-spine: enhancing mass at L3.",
    "Enhancing lesion in the cervical cord.",
    "The patient was negative for metastases.",
    "The previously noted mass has resolved.",
    "Mucosal thickening in the right ethmoid sinus.",
    "Arachnoid cyst in the left middle cranial fossa.",
    "颅内未见占位。",
    "未见明显异常信号，未见肿瘤。",
    "双侧额叶见多发缺血灶。",
    "左侧基底节区腔隙性脑梗死。",
    "左侧上颌窦肿块。",
    "脑室旁白质见高信号，考虑脱髓鞘病变。",
    "未见明显强化及占位效应。",
    "颅脑MRI平扫未见异常。",
    "",
]

CERTAINTIES = [
    ("Left frontal mass.", Certainty.PRESENT),
    ("Possible left frontal mass.", Certainty.POSSIBLE),
    ("A left frontal mass cannot be excluded.", Certainty.POSSIBLE),
    ("Probable glioma of the left frontal lobe.", Certainty.LIKELY),
    ("Findings suspicious for a left frontal glioma.", Certainty.LIKELY),
    ("Left frontal mass, possibly a glioma.", Certainty.PRESENT),
    ("Glioma of the left frontal lobe?", Certainty.POSSIBLE),
    ("Left frontal glioma? Follow up.", Certainty.POSSIBLE),
    ("No change in the left frontal mass.", Certainty.PRESENT),
    ("Left frontal mass without enhancement.", Certainty.PRESENT),
    ("Left frontal mass, no edema, no hemorrhage.", Certainty.PRESENT),
    ("No edema around the mass in the left frontal lobe. The mass is unchanged.", Certainty.PRESENT),
    ("There is no hemorrhage, but a left frontal mass is seen.", Certainty.PRESENT),
    ("There is no hemorrhage, and a left frontal mass is seen.", Certainty.PRESENT),
    ("左侧额叶占位，胶质瘤可能。", Certainty.PRESENT),
    ("左侧额叶占位不除外。", Certainty.POSSIBLE),
    ("不能排除左侧额叶转移瘤。", Certainty.POSSIBLE),
    ("左侧额叶转移瘤不能完全排除。", Certainty.POSSIBLE),
    ("不能除外左侧额叶转移瘤。", Certainty.POSSIBLE),
    ("左侧额叶胶质瘤难以除外。", Certainty.POSSIBLE),
    ("左侧额叶肿瘤未排除。", Certainty.POSSIBLE),
    ("建议增强扫描排除左侧额叶肿瘤。", Certainty.POSSIBLE),
    ("已排除左侧额叶肿瘤。", Certainty.ABSENT),
    ("考虑左侧额叶胶质瘤。", Certainty.LIKELY),
    ("左侧额叶占位，未见明显强化。", Certainty.PRESENT),
]


@pytest.mark.parametrize(("text", "side", "regions"), LESIONS)
def test_side_and_regions(text: str, side: Side, regions: set[str]) -> None:
    reading = read_report(text)
    assert reading.side is side
    assert set(reading.regions) == regions


@pytest.mark.parametrize("text", NO_LESION)
def test_no_lesion(text: str) -> None:
    assert read_report(text).lesions == ()


@pytest.mark.parametrize(("text", "certainty"), CERTAINTIES)
def test_certainty(text: str, certainty: Certainty) -> None:
    assert read_report(text).tumour is certainty


def test_published_example_gives_exactly_its_lesion() -> None:
    """The report that the first published system reduces to twenty characters and an empty mask."""
    reading = read_report(
        "Unenhanced scan: ill-defined patchy areas of long T1 and long T2 signal are seen in the right frontal, "
        "temporal and insular lobes, measuring about 41 x 60 x 38 mm. The right lateral ventricle is slightly "
        "compressed and the midline is shifted slightly to the left; the right frontotemporal sulci are partly "
        "effaced. After contrast no clear enhancement. The sella, pituitary and scalp are unremarkable."
    )
    (lesion,) = reading.lesions
    assert lesion.side is RIGHT
    assert {(place.region, place.side) for place in lesion.places} == {
        ("frontal", RIGHT),
        ("temporal", RIGHT),
        ("insula", RIGHT),
    }
    assert lesion.size is not None
    assert lesion.size.diameters_mm == (41.0, 60.0, 38.0)
    assert lesion.certainty is Certainty.PRESENT
    assert {place.region for place in reading.nothing_here} == {"sella"}
    assert reading.flags == ()
    enhancement = next(f for f in reading.findings if f.kind == "enhancement")
    assert enhancement.certainty is Certainty.ABSENT


def test_same_example_in_chinese() -> None:
    reading = read_report(
        "平扫示右侧额颞岛叶见片状长T1长T2信号影，边界不清，大小约41×60×38mm，右侧侧脑室轻度受压，中线结构略向左移位，右侧额颞叶脑沟部分变浅。"
        "增强扫描未见明显强化。鞍区、垂体及头皮未见异常。"
    )
    (lesion,) = reading.lesions
    assert reading.language == "zh"
    assert lesion.side is RIGHT
    assert set(reading.regions) == {"frontal", "temporal", "insula"}
    assert lesion.size is not None
    assert lesion.size.diameters_mm == (41.0, 60.0, 38.0)


def test_two_lesions_keep_their_own_sizes_and_sides() -> None:
    reading = read_report("1. Left frontal metastasis, 12 mm. 2. Right cerebellar metastasis measuring 2.3 x 2.0 cm.")
    assert [(lesion.side, lesion.size.diameters_mm if lesion.size else None) for lesion in reading.lesions] == [
        (LEFT, (12.0,)),
        (RIGHT, (23.0, 20.0)),
    ]


TWO = "A mass in the left temporal lobe, 44 x 68 x 52 mm. "
TWO_MORE = TWO + "A mass in the right frontal lobe, 30 x 20 x 25 mm. "
TEMPORAL, FRONTAL = (LEFT, {"temporal"}, (44.0, 68.0, 52.0)), (RIGHT, {"frontal"}, (30.0, 20.0, 25.0))
WITH_INSULA = (LEFT, {"temporal", "insula"}, (44.0, 68.0, 52.0))
SEVERAL = [  # text -> each lesion's side, regions, diameters
    # a lesion that extends somewhere is not thereby the one before
    (
        TWO + "There is a right frontal mass extending into the right insula, 30 x 20 x 25 mm.",
        [TEMPORAL, (RIGHT, {"frontal", "insula"}, (30.0, 20.0, 25.0))],
    ),
    (TWO + "A second mass involves the right frontal lobe, 30 x 20 x 25 mm.", [TEMPORAL, FRONTAL]),
    (TWO + "The lesion in the right frontal lobe measures 30 x 20 x 25 mm.", [TEMPORAL, FRONTAL]),
    (
        "左侧颞叶见占位性病变，大小约44×68×52mm。右侧额叶见另一占位性病变，累及右侧岛叶，大小约30×20×25mm。",
        [TEMPORAL, (RIGHT, {"frontal", "insula"}, (30.0, 20.0, 25.0))],
    ),
    # the one that is named, not the last one
    (TWO_MORE + "The left temporal mass extends into the left insula.", [WITH_INSULA, FRONTAL]),
    (TWO_MORE + "The mass in the left temporal lobe extends into the left insula.", [WITH_INSULA, FRONTAL]),
    (
        "左侧颞叶见占位性病变，大小约44×68×52mm。右侧额叶见占位性病变，大小约30×20×25mm。左侧颞叶病变累及左侧岛叶。",
        [WITH_INSULA, FRONTAL],
    ),
    (
        "There is a mass in the left temporal lobe and a mass in the right frontal lobe. The left temporal mass "
        "measures 44 x 68 x 52 mm. The right frontal mass measures 30 x 20 x 25 mm.",
        [TEMPORAL, FRONTAL],
    ),
    # a sum of several is none of its own, and does not make the last one's side both
    (TWO_MORE + "IMPRESSION: Masses in the left temporal and the right frontal lobe.", [TEMPORAL, FRONTAL]),
    # another one may lie in the same region
    (
        TWO + "A further lesion lies in the left temporal lobe, measuring 12 x 10 x 9 mm.",
        [TEMPORAL, (LEFT, {"temporal"}, (12.0, 10.0, 9.0))],
    ),
    # but what extends without a place of its own is still the one before
    (TWO + "Tumor extends into the left insula.", [WITH_INSULA]),
    (TWO + "There is left insular tumor extension.", [WITH_INSULA]),
    ("左侧颞叶见占位性病变，大小约44×68×52mm。肿瘤累及左侧岛叶。", [WITH_INSULA]),
    ("左侧颞叶见占位性病变，大小约44×68×52mm。左侧岛叶受肿瘤侵犯。", [WITH_INSULA]),
]


@pytest.mark.parametrize(("text", "lesions"), SEVERAL)
def test_lesions_keep_apart(text: str, lesions: list[tuple[Side, set[str], tuple[float, ...]]]) -> None:
    found = read_report(text).lesions
    assert [
        (lesion.side, {place.region for place in lesion.places}, lesion.size.diameters_mm if lesion.size else None)
        for lesion in found
    ] == lesions


def test_size_of_the_shift_is_not_the_size_of_the_mass() -> None:
    reading = read_report("Right temporal mass measuring 4.1 cm. Midline shift of 5 mm to the left.")
    assert reading.lesions[0].size is not None
    assert reading.lesions[0].size.diameters_mm == (41.0,)


def test_nothing_here_never_touches_the_lesion() -> None:
    reading = read_report(
        "Left frontal mass. No lesion in the right hemisphere. The cerebellum and brainstem are normal. "
        "The left frontal lobe is otherwise normal."
    )
    assert {(place.region, place.side) for place in reading.nothing_here} == {
        ("cerebrum", RIGHT),
        ("cerebellum", None),
        ("brainstem", MIDDLE),
    }


def test_contradicting_sides_are_flagged_not_merged() -> None:
    reading = read_report("The lesion is in the left parietal lobe. Necrosis is seen in the right parietal lobe.")
    assert reading.side is LEFT
    assert "contradictory side" in reading.flags


def test_contralateral_is_measured_against_the_lesion() -> None:
    reading = read_report("Glioma in the left frontal lobe. Edema in the contralateral frontal lobe.")
    oedema = next(f for f in reading.findings if f.kind == "oedema")
    assert oedema.places[0].side is RIGHT


def test_sections_decide_what_is_of_today() -> None:
    reading = read_report(
        "HISTORY: left frontal glioma, resected.\n\nFINDINGS: Right occipital mass.\n\n"
        "IMPRESSION: Right occipital metastasis."
    )
    assert reading.side is RIGHT
    assert reading.findings[0].historical


def test_impression_that_names_another_cause_explains_the_mass() -> None:
    assert read_report("FINDINGS: Mass near the left sylvian fissure. IMPRESSION: Aneurysm.").lesions == ()


def test_every_finding_keeps_characters_of_the_text() -> None:
    text = "A 3 cm glioma of the left temporal lobe, edema, and no hemorrhage."
    words = [finding.span.of(text) for finding in read_report(text).findings]
    assert words == ["glioma", "edema", "hemorrhage"]
