"""Forms, languages, operations and older studies: phrases that once turned an answer round without a word."""

from __future__ import annotations

import pytest

from annofree.reports import Certainty, Reading, Side, read_report

LEFT, RIGHT = Side.LEFT, Side.RIGHT

ABSENT = [
    # a denial and the noun between it and the tumour
    "No CT features to suggest an intracranial neoplasm.",
    "No radiographic hint of malignancy.",
    "No sign of recurrence of the tumour.",
    "No abnormality of the brain stem or mass lesion.",
    "Brain metastases are unlikely.",
    "There is nothing to suggest a meningioma.",
    # a denial behind it
    "A mass in the left temporal lobe is not seen.",
    "The tumour in the right thalamus can no longer be identified.",
    "Previously described right occipital lesion is no longer visible.",
    "The right occipital lesion has disappeared.",
    "Disappearance of the right occipital lesion.",
    "Interval resolution of the left pontine lesion.",
    "右枕叶病灶已吸收。",
    # answers of a form
    "Neoplasm: none.\nInfarct: none.",
    "Neoplasm (y/n): n",
    "Glioma, metastasis, lymphoma: none.",
    "Number of metastases: 0",
    "Neoplasm - negative. Bleed - negative.",
    "[ ] neoplasm [ ] haemorrhage [X] no acute finding, ventricles normal",
    "☐ Neoplasm\n☒ Ventricles normal",
    "Neoplasm [ ]   Infarct [x]",
    "Neoplasm: ☐ yes ☑ no",
    "□占位 ☑正常",
    # a relative's
    "Mother had a glioblastoma. Normal MRI of the brain.",
    "His father died of a brain tumor. The brain is normal.",
    "The patient's brother has neurofibromatosis with optic glioma. Normal brain MRI.",
    "Glioma in his father. Normal brain.",
    "A brother had a glioma. Normal brain.",
    "Patient has a mother with glioma. Normal brain.",
    "母亲患有胶质瘤。颅脑未见异常。",
    # taken out
    "The right cerebellar metastasis has been excised.",
    "Left insular glioma and right frontal meningioma were removed.",
    "Patient underwent resection of a right occipital metastasis.",
    "Changes after removal of the left frontal tumour.",
    "左额叶胶质瘤切除术后，未见复发征象。",
    # words that hold "tumour" and are none
    "Tumour markers are raised. The brain is normal.",
    "The tumour bed does not enhance. No recurrence.",
    # a relative's, whatever is said of the relative in between
    "The father of the patient had a glioma. Normal brain.",
    "Father (deceased) had a glioma. Normal brain.",
    "The patient's father, who lives in Italy, had a glioma. Normal brain.",
    "Father and uncle had gliomas. Normal brain.",
    # what the sender asks, answered
    "Rule out glioma. Normal brain.",
    "R/o mets. Brain normal.",
    "Request: ?SOL. Findings: Normal intracranial appearances.",
    "Screening for brain metastases. Normal MRI of the brain.",
    "Patient is concerned about a brain tumor. The MRI is normal.",
    "Metastases? No.",
    # adverbs between the words that deny
    "Tumor not definitely seen.",
    "Metastasis has been definitively excluded.",
    "The examination fails to demonstrate a mass.",
    "Left frontal artifact, not a true lesion.",
    "Prior MRI showed a left frontal lesion, which is no longer visualized.",
    # another disease, and other places
    "Lesion in the left MCA territory with gyriform enhancement, favoured to represent an infarct rather than tumour.",
    "Multiple sclerosis with enhancing lesions in the left frontal white matter.",
    "Lytic lesion in the right frontal bone. No intracranial mass.",
    "Scalp lesion overlying the left parietal bone. Brain normal.",
    "Left orbital mass; brain parenchyma normal.",
    # lists that deny
    "No hydrocephalus, hemorrhage or mass is seen.",
    "No hydrocephalus, mass, midline shift.",
    "No recurrence, right frontal mass or edema.",
    "Mass (none), edema (none), shift (none).",
    "Comparison with previous: the right frontal metastasis seen in March has gone.",
    "No acute hemorrhage, a mass, or midline shift.",
    "No hemorrhage, an infarct or a mass is seen.",
    # what is denied of what did not come, or would only suggest a tumour
    "No interval development of new lesions.",
    "No appearance of new metastases.",
    "Status post gross total resection of right temporal glioblastoma. "
    "No nodular enhancement along the resection margin to suggest residual tumor.",
    "No abnormal enhancement is seen in the region of the previously treated left temporal metastasis.",
    # an answer in front of its word
    "Negative study for tumour",
    "Negative CT for mass.",
    "Resolved left frontal lesion.",
    "Completely resolved enhancing lesion of the right insula.",
    "Unlikely residual tumor.",
    # nothing is left
    "Tumor has not recurred.",
    "No acute intracranial abnormality.",
    "Near complete resection of left frontal glioma with no residual along the margin.",
    "Near total resection of the right parietal glioma without residual enhancement.",
    "Multiple sclerosis with a lesion in the left frontal lobe.",
]

PRESENT = [
    ("Oedema around the left temporal tumour is not seen.", LEFT, {"temporal"}),
    ("There is no haemorrhage in the large left temporal tumour.", LEFT, {"temporal"}),
    ("No evidence of bleeding within the right parietal tumour.", RIGHT, {"parietal"}),
    ("Haemorrhage in the left temporal tumour has resolved.", LEFT, {"temporal"}),
    ("Partial resolution of the right occipital lesion.", RIGHT, {"occipital"}),
    ("A right occipital lesion not seen previously.", RIGHT, {"occipital"}),
    ("Previously described right occipital lesion persists.", RIGHT, {"occipital"}),
    ("Previously noted right occipital lesion measures 12 mm.", RIGHT, {"occipital"}),
    ("Subtotal resection of the right occipital glioma.", RIGHT, {"occipital"}),
    ("After excision of a left insular glioma there is a new enhancing nodule in the left insula.", LEFT, {"insula"}),
    ("The left thalamic mass was not resected.", LEFT, {"thalamus"}),
    ("Neoplasm: no change since 2012, left parietal.", LEFT, {"parietal"}),
    ("Metastases: 0.9 cm in the left occipital lobe.", LEFT, {"occipital"}),
    ("□ Left occipital mass\n□ Oedema", LEFT, {"occipital"}),  # bullets: nothing is ticked
    # words for a tumour beside words that are understood
    ("Ventricles normal. Two mets in the left parietal lobe.", LEFT, {"parietal"}),
    ("No shift. HGG of the right insula.", RIGHT, {"insula"}),
    ("No hydrocephalus. Recurrence at the right occipital resection margin.", RIGHT, {"occipital"}),
    ("Focal enhancement in the right hippocampus. Ventricles normal.", RIGHT, {"hippocampus"}),
    # where it is not
    ("Left temporal glioma without invasion of insula or thalamus.", LEFT, {"temporal"}),
    ("Right parietal tumour; it does not reach the corpus callosum.", RIGHT, {"parietal"}),
    ("Right parietal tumour sparing the thalamus.", RIGHT, {"parietal"}),
    ("Mass without involvement of the corpus callosum in the right frontal lobe.", RIGHT, {"frontal"}),
    ("A mass without evidence of invasion of the insula in the left temporal lobe.", LEFT, {"temporal"}),
    ("Left temporal mass without involvement of the cortex in the frontal lobe.", LEFT, {"temporal"}),
    ("Mass does not extend across the midline in the left frontal lobe.", LEFT, {"frontal"}),
    ("未累及胼胝体的右额叶肿块", RIGHT, {"frontal"}),
    ("MRI ordered by father shows a mass in the left parietal lobe.", LEFT, {"parietal"}),
    ("Daughter lesions are seen in the right cerebellum.", RIGHT, {"cerebellum"}),
    ("Left frontal glioma, brother has lung cancer.", LEFT, {"frontal"}),
    ("38-year-old mother with left frontal glioma.", LEFT, {"frontal"}),
    ("A mother with right parietal meningioma.", RIGHT, {"parietal"}),
    ("Left frontal glioma in a mother of two.", LEFT, {"frontal"}),
    ("Brought by her son with seizures and a left temporal mass on CT.", LEFT, {"temporal"}),
    ("The son has reported headaches with a left frontal mass.", LEFT, {"frontal"}),
    ("左额叶占位，未累及岛叶。", LEFT, {"frontal"}),
    ("The tumour spares the right motor cortex and lies in the right parietal lobe.", RIGHT, {"parietal"}),
    ("The tumour does not involve the insula and is centred in the left temporal lobe.", LEFT, {"temporal"}),
    # a change of what is there
    ("No features of high-grade transformation of the left frontal glioma.", LEFT, {"frontal"}),
    ("No evidence of progression of the known left frontal glioma.", LEFT, {"frontal"}),
    ("No growth of the right parietal meningioma.", RIGHT, {"parietal"}),
    # a list that denies ends where something with a side, a size or an article of its own comes
    ("No hydrocephalus, left frontal mass extends to the insula.", LEFT, {"frontal", "insula"}),
    ("No acute infarct, large left temporal mass with edema.", LEFT, {"temporal"}),
    ("No hydrocephalus, 3 cm left temporal mass.", LEFT, {"temporal"}),
    ("Negative for hemorrhage with a large mass in the left frontal lobe.", LEFT, {"frontal"}),
    ("No significant interval change in left frontal mass.", LEFT, {"frontal"}),
    ("Left frontal mass, not present in 2019.", LEFT, {"frontal"}),
    # beside another disease, or with it inside
    ("Left frontal mass with internal hemorrhage.", LEFT, {"frontal"}),
    ("Right parietal mass is not associated with hemorrhage.", RIGHT, {"parietal"}),
    ("Right frontal mass and adjacent hemorrhage.", RIGHT, {"frontal"}),
    ("Hemorrhage within a left frontal mass.", LEFT, {"frontal"}),
    ("Left frontal enhancing lesion adjacent to an old infarct.", LEFT, {"frontal"}),
    # after an operation, after a history
    ("Status post right frontal craniotomy with residual enhancing tumor. No new lesion.", RIGHT, {"frontal"}),
    ("Post-surgical changes of left parietal craniotomy with residual enhancing nodule.", LEFT, {"parietal"}),
    ("Patient with history of GBM presents with a new 2 cm right temporal mass.", RIGHT, {"temporal"}),
    ("History of glioma, now with recurrent mass in the right temporal lobe.", RIGHT, {"temporal"}),
    ("Rule out glioma. Left frontal mass of 3 cm. Ventricles normal.", LEFT, {"frontal"}),
    ("Mass (right frontal), edema (moderate), shift (none), hemorrhage (none).", RIGHT, {"frontal"}),
    ("Near complete resection of left frontal glioma with small residual along the margin.", LEFT, {"frontal"}),
    # joined by "and" or a semicolon, or a mass that comes with it
    ("Hemorrhage with a mass in the right frontal lobe.", RIGHT, {"frontal"}),
    ("Multiple sclerosis and left frontal mass.", LEFT, {"frontal"}),
    ("Demyelination; mass in the left parietal lobe.", LEFT, {"parietal"}),
    (
        "Multiple sclerosis with typical white matter lesions; in addition a 3 cm mass in the left temporal lobe.",
        LEFT,
        {"temporal"},
    ),
    # resolved or unlikely is another thing, or not all of it
    ("The edema resolved and the left frontal mass is smaller.", LEFT, {"frontal"}),
    ("Partially resolved lesion in the left frontal lobe.", LEFT, {"frontal"}),
    ("Unlikely abscess; right temporal glioma.", RIGHT, {"temporal"}),
    ("No development of hydrocephalus around the left thalamic mass.", LEFT, {"thalamus"}),
    ("No hemorrhage, a mass in the left frontal lobe measures 3 cm.", LEFT, {"frontal"}),
    ("Previously treated left temporal metastasis with increasing enhancement.", LEFT, {"temporal"}),
    ("Near total resection of a right parietal glioma with a residual nodule.", RIGHT, {"parietal"}),
    ("Near-complete resolution of the right frontal metastasis.", RIGHT, {"frontal"}),
    ("Status post biopsy of the left thalamic glioma, which is unchanged.", LEFT, {"thalamus"}),
    ("Clinical question: progression? Answer: stable right frontal glioma.", RIGHT, {"frontal"}),
    (
        "Known glioblastoma. Nodular enhancement along the left temporal resection cavity, suspicious for tumor.",
        LEFT,
        {"temporal"},
    ),
    ("A 1.2 cm left and a 0.7 cm right cerebellar metastasis.", Side.BILATERAL, {"cerebellum"}),
    # fields of a form
    ("Tumor: yes\nLocation: right temporal lobe\nSize: 32 x 21 mm\nEdema: moderate", RIGHT, {"temporal"}),
    ("Mass: present. Side: left. Lobe: frontal. Size: 3 cm", LEFT, {"frontal"}),
    # both sides in one word, in two, and of several
    ("Bifrontal glioma.", Side.BILATERAL, {"frontal"}),
    ("Bi-parietal meningioma.", Side.BILATERAL, {"parietal"}),
    ("Tumour of the right > left frontal lobe.", Side.BILATERAL, {"frontal"}),
    (
        "Multiple metastases in both hemispheres, the largest in the left insula.",
        Side.BILATERAL,
        {"cerebrum", "insula"},
    ),
    # the place of a part is the lesion's
    ("A cystic lesion with an enhancing nodule is present in the right cerebellar hemisphere.", RIGHT, {"cerebellum"}),
    ("Right cavernous sinus meningioma.", RIGHT, {"skull_base"}),
    # gone, but not away
    ("The left frontal mass has gone up in size.", LEFT, {"frontal"}),
    ("The left frontal tumor has gone through the corpus callosum.", LEFT, {"frontal", "corpus_callosum"}),
    # sides by a letter
    ("(L) occipital metastasis.", LEFT, {"occipital"}),
    ("Metastasis in the R cerebellum.", RIGHT, {"cerebellum"}),
]

OTHER_LANGUAGES = [
    "Kein Lymphom, kein Infarkt, kein Tumor.",
    "Im linken Frontallappen findet sich ein Glioblastom von 4 cm. Tumor.",
    "Aucun meningioma, pas de tumor.",
    "Ventrículos normales, sin tumor.",
    "Não se identifica glioma ou meningioma.",
    "Assenza di meningioma o glioma.",
    "Geen glioma, geen tumor.",
    "Нет признаков tumor.",
    "明らかな占拠性病変を認めず。転移なし。",
]

ENGLISH = [
    "MRI of the brain in a patient with Sjögren syndrome. Glioma.",
    "Glioma de novo in the left insula.",
    "Dr. van der Berg: left frontal mass.",
    "Tumor left frontal.",
]


def told(reading: Reading) -> str:
    """The column `tumour` of the table."""
    return reading.tumour.value if reading.understood else "n/a"


@pytest.mark.parametrize("text", ABSENT)
def test_what_is_denied_or_taken_out_is_absent(text: str) -> None:
    assert told(read_report(text)) == "absent"


def test_a_question_ends_with_its_mark() -> None:
    assert read_report("Is there a tumour? Left frontal mass of 2 cm.").lesions[0].certainty is Certainty.PRESENT
    assert read_report("? left frontal mass").lesions[0].certainty is Certainty.POSSIBLE


@pytest.mark.parametrize(("text", "side", "regions"), PRESENT)
def test_what_is_there_stays_there(text: str, side: Side, regions: set[str]) -> None:
    reading = read_report(text)
    assert reading.tumour is Certainty.PRESENT
    assert reading.side is side
    assert set(reading.regions) == regions


@pytest.mark.parametrize("text", OTHER_LANGUAGES)
def test_another_language_is_not_read(text: str) -> None:
    reading = read_report(text)
    assert (reading.language, told(reading), reading.flags) == ("other", "n/a", ("not understood",))


@pytest.mark.parametrize("text", ENGLISH)
def test_names_and_latin_words_leave_a_text_english(text: str) -> None:
    reading = read_report(text)
    assert (reading.language, told(reading)) == ("en", "present")


def test_an_empty_form_says_nothing() -> None:
    assert told(read_report("[ ] tumour\n[ ] infarct\n[ ] normal")) == "n/a"


def test_asked_is_not_found() -> None:
    assert read_report("? left frontal glioma").tumour is Certainty.POSSIBLE


def test_what_was_measured_was_not_only_asked() -> None:
    reading = read_report("Concerned about mass in the left frontal lobe, which measures 2 cm. No edema.")
    assert (reading.tumour, reading.side) == (Certainty.POSSIBLE, LEFT)


@pytest.mark.parametrize(
    "text",
    [
        "Left frontal glioma cannot be completely excluded.",
        "Cannot definitively exclude a left frontal glioma.",
        "Abnormal enhancement in the left frontal lobe, rule out glioma. Ventricles normal.",
        "Rule out left frontal glioma.",
        "Left frontal metastasis should be ruled out.",
        "Left frontal metastasis has to be excluded.",
        "Query glioma left frontal. Ventricles normal.",
        "Evaluate for progression of left frontal glioma. No hydrocephalus.",
    ],
)
def test_what_is_not_excluded_stays_possible(text: str) -> None:
    reading = read_report(text)
    assert (reading.tumour, reading.side) == (Certainty.POSSIBLE, LEFT)


@pytest.mark.parametrize(
    "text", ["Left frontal mass without contrast enhancement.", "The left frontal mass does not enhance."]
)
def test_a_mass_that_does_not_enhance(text: str) -> None:
    said = [f.certainty for f in read_report(text).findings if f.kind == "enhancement"]
    assert set(said) <= {Certainty.ABSENT}


def test_impression_on_the_other_side_is_flagged() -> None:
    reading = read_report("FINDINGS: Right thalamic glioma, 22 mm.\nIMPRESSION: Left thalamic glioma.")
    assert "contradictory side" in reading.flags


def test_fields_of_a_form_belong_to_their_lesion() -> None:
    form = "Lesion 1. Side: left. Lobe: frontal. Size: 3 cm.\nLesion 2. Side: right. Lobe: occipital. Size: 1 cm."
    told = [(x.side, x.places[0].region, x.size and x.size.diameters_mm) for x in read_report(form).lesions]
    assert told == [(LEFT, "frontal", (30.0,)), (RIGHT, "occipital", (10.0,))]


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("Mass at the margin of the right parietal resection cavity measures 8 mm.", [(8.0,)]),
        ("Edema around the left frontal mass measures 6 cm.", [None]),
    ],
)
def test_what_measures_is_what_the_sentence_is_about(text: str, sizes: list[tuple[float, ...] | None]) -> None:
    assert [lesion.size and lesion.size.diameters_mm for lesion in read_report(text).lesions] == sizes


def test_each_lesion_has_its_size() -> None:
    for text in (
        "Lesions in the left frontal lobe (12 mm) and the right occipital lobe (8 mm).",
        "Two enhancing masses measuring 12 mm and 8 mm in the left frontal and right occipital lobes.",
        "左额叶及右枕叶见多发结节，大小分别约12mm和8mm。",
        "Left frontal lesion 12 mm and right occipital lesion 8 mm.",
        "Two metastases, 12 and 8 mm, in the left frontal and the right occipital lobe.",
        "A 12 mm left frontal and an 8 mm right occipital metastasis.",
    ):
        told = [(x.size and x.size.diameters_mm, x.side, x.several) for x in read_report(text).lesions]
        assert told == [((12.0,), LEFT, False), ((8.0,), RIGHT, False)]
    (lesion,) = read_report("Metastases of 5, 8 and 12 mm in the left cerebellum.").lesions
    assert (lesion.size and lesion.size.diameters_mm, lesion.several) == ((12.0,), True)
    (lesion,) = read_report("Two centimeter mass in the left frontal lobe.").lesions
    assert (lesion.size and lesion.size.diameters_mm, lesion.several) == ((20.0,), False)
    (lesion,) = read_report("Lesion of the left frontal and parietal lobes, 12 mm.").lesions
    assert not lesion.several
    (lesion,) = read_report("A 14 mm and a 6 mm metastasis in the left cerebellum.").lesions
    assert lesion.several
    (lesion,) = read_report("Right frontal and temporal mass measuring 4.1 cm and necrosis measuring 1.2 cm.").lesions
    assert (lesion.size and lesion.size.diameters_mm, lesion.several) == ((41.0,), False)


@pytest.mark.parametrize(
    "text",
    [
        "No infarct, a left frontal mass, 2 or 3 cm.",
        "No infarct, a left frontal mass, likely a glioma or lymphoma.",
        "No infarct, a left frontal mass, solid or partly cystic.",
        "No haemorrhage, a left frontal tumour, either primary or secondary.",
        "No haemorrhage, a left frontal mass, and no hydrocephalus or shift.",
        "No haemorrhage, a left frontal mass, unchanged or larger.",
        "Not completely resolved left frontal mass.",
        "Never fully resolved left frontal mass.",
    ],
)
def test_names_and_traits_of_a_mass_close_no_list_that_denies(text: str) -> None:
    reading = read_report(text)
    assert (reading.tumour, reading.side) == (Certainty.PRESENT, LEFT)


@pytest.mark.parametrize(
    "text",
    [
        "Left frontal mass. No infarct. Size: 3 cm.",
        "Left frontal mass. Ventricles normal. Size: 3 cm.",
        "Left frontal mass\nHydrocephalus: no\nSize: 3 cm",
        "Mass. No oedema. Side: left. Lobe: frontal. Size: 3 cm.",
    ],
)
def test_fields_behind_what_is_denied_are_of_the_lesion(text: str) -> None:
    (lesion,) = read_report(text).lesions
    assert lesion.size is not None
    assert (lesion.side, lesion.size.diameters_mm) == (LEFT, (30.0,))


def test_a_size_in_a_question_was_not_seen() -> None:
    assert read_report("Headache. Rule out 2 cm left frontal mass. No mass is seen.").lesions == ()


def test_an_abbreviated_venous_anomaly_gives_a_mass_no_place() -> None:
    reading = read_report("Bitemporal DVA, left parietal mass.")
    assert (reading.side, set(reading.regions)) == (LEFT, {"parietal"})
