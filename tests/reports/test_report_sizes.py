"""A size belongs to the mass that was measured, whatever words stand nearer; and a long text takes its time once."""

from __future__ import annotations

import time

import pytest

from annofree.reports import read_report
from annofree.reports.sizes import sizes_in

# text, diameters of the first lesion in mm; None where the size is of something else
SIZES: list[tuple[str, tuple[float, ...] | None]] = [
    ("A 3.2 x 2.1 cm heterogeneously enhancing, centrally necrotic mass in the left temporal lobe.", (32, 21)),
    ("Right frontal ring-enhancing lesion of 4.2 cm with edema.", (42,)),
    ("A 4.2 x 3.1 x 2.8 cm (AP x TV x CC) ring-enhancing mass in the right frontal lobe.", (42, 31, 28)),
    ("A 5x5mm mass in the right frontal lobe.", (5, 5)),
    ("A 4,2 x 3,1 x 2,8 cm ring-enhancing mass in the right frontal lobe.", (42, 31, 28)),
    ("A 42x31x28mm ring-enhancing mass in the right frontal lobe.", (42, 31, 28)),
    ("4.2-cm ring-enhancing mass in the right frontal lobe.", (42,)),
    ("Mass in the right frontal lobe with ring enhancement measuring 4.2 x 3.1 x 2.8 cm.", (42, 31, 28)),
    ("There is a mass in the right frontal lobe with surrounding edema, measuring 4.2 x 3.1 x 2.8 cm.", (42, 31, 28)),
    ("There is a mass in the right frontal lobe with surrounding edema measuring 8 cm.", None),
    ("Rim-enhancing mass (4.2 x 3.1 x 2.8 cm) with vasogenic edema in the right frontal lobe.", (42, 31, 28)),
    (
        "A ring enhancing mass measuring 4.2 by 3.1 by 2.8 centimeters in greatest dimensions, right frontal.",
        (42, 31, 28),
    ),
    ("An avidly enhancing mass, 35 x 28 mm, with a 5 mm midline shift, in the left frontal lobe.", (35, 28)),
    ("Mass with 5 mm of midline shift, 4 cm, in the left frontal lobe.", (40,)),
    ("Left frontal mass with a 12 mm necrotic component.", None),
    ("A 35 mm left frontal enhancing mass with 10 mm shift.", (35,)),
    ("A 28 mm diameter enhancing mass in the left frontal lobe.", (28,)),
    ("A 28 mm in diameter enhancing mass in the left frontal lobe.", (28,)),
    ("28 mm in greatest dimension ring-enhancing mass in the left frontal lobe.", (28,)),
    (
        "A 4.2 x 3.1 x 2.8 cm irregularly rim-enhancing centrally necrotic intra-axial mass in the right frontal lobe.",
        (42, 31, 28),
    ),
    (
        "A 4.2 x 3.1 x 2.8 cm intra-axial, ring-enhancing, partially hemorrhagic right frontal mass with edema.",
        (42, 31, 28),
    ),
    ("A 4.2 cm area of enhancement in the right frontal lobe, consistent with glioma.", None),
    ("Glioblastoma in the right frontal lobe: 4.2 x 3.1 x 2.8 cm. Edema.", (42, 31, 28)),
    ("Large right frontal mass is seen. The enhancing mass measures 4.2 cm x 3.1 cm x 2.8 cm.", (42, 31, 28)),
    ("Right frontal mass is seen. Greatest dimension is 4.2 cm.", (42,)),
    ("Right frontal mass is seen. Dimensions: 4.2 x 3.1 x 2.8 cm.", (42, 31, 28)),
    ("右侧额叶见大小约4.2×3.1×2.8cm的环形强化肿块。", (42, 31, 28)),
    ("右侧额叶见约4.2厘米×3.1厘米×2.8厘米大小的不均匀强化占位,周围水肿。", (42, 31, 28)),
    ("右侧额叶可见环形强化占位，伴周围水肿，大小约４．２ｃｍ×３．１ｃｍ。", (42, 31)),
    ("右额叶占位，直径约3.5㎝，明显强化。", (35,)),
    ("右额叶肿块伴坏死及瘤周水肿，范围约42mm×31mm×28mm。", (42, 31, 28)),
    ("右额叶肿块大小约3cm伴周围水肿。", (30,)),
    ("右额叶见一3.5cm×2.8cm强化结节。", (35, 28)),
    ("右側額葉見環形強化腫塊,大小約4.2cm×3.1cm,周圍水腫。", (42, 31)),
    ("右额叶肿块，周围水肿带宽约2cm。", None),
    ("右侧额叶占位性病变，增强扫描呈环形强化，病灶最大层面约4.2×3.1cm，中线左移5mm。", (42, 31)),
    ("右额叶占位,长径4.2厘米,短径3.1厘米,强化明显。", (42,)),
    ("Multiple enhancing metastases, the largest in the right frontal lobe measuring 2.1 cm with edema.", (21,)),
    (
        "A mass measuring 4.2 cm AP by 3.1 cm transverse by 2.8 cm craniocaudal, right frontal.",
        (42, 31, 28),
    ),
    ("Mass of the right frontal lobe, enhancing, necrotic, 42 mm.", (42,)),
    ("Ring-enhancing 4.2 x 3.1 x 2.8 cm mass in the right frontal lobe.", (42, 31, 28)),
    ("Right frontal lobe: 4.2 x 3.1 x 2.8 cm ring-enhancing mass.", (42, 31, 28)),
    ("Edema surrounds a ring-enhancing 4.2 x 3.1 cm right frontal mass.", (42, 31)),
    ("Surrounding edema extends 2 cm from the right frontal mass, which measures 4.2 x 3.1 cm.", (42, 31)),
    ("Enhancing right frontal mass measuring 4.2 x 3.1 cm, previously 3.0 x 2.2 cm.", (42, 31)),
    (
        "A ring-enhancing mass is seen in the right frontal lobe and measures 4.2 cm in diameter with 6 mm shift.",
        (42,),
    ),
    ("Hemorrhagic 4.2 x 3.1 x 2.8 cm mass in the right frontal lobe.", (42, 31, 28)),
    ("A 4.2 x 3.1 x 2.8 cm cystic and solid enhancing mass in the right frontal lobe.", (42, 31, 28)),
    ("A 4.2 x 3.1 x 2.8 cm T2 hyperintense, ring-enhancing mass in the right frontal lobe.", (42, 31, 28)),
    ("A 4.2 x 3.1 x 2.8 cm mass, with ring enhancement, in the right frontal lobe.", (42, 31, 28)),
    ("A 4.2 x 3.1 x 2.8 cm peripherally enhancing and centrally necrotic right frontal lobe glioma.", (42, 31, 28)),
    ("A 15 mm enhancing nodule within a 45 mm cystic right frontal mass.", (45,)),
    ("A 4.2 x 3.1 x 2.8 cm partially calcified enhancing right frontal mass.", (42, 31, 28)),
    (
        "The right frontal mass, which shows thick ring enhancement, measures approximately 4.2 x 3.1 x 2.8 cm.",
        (42, 31, 28),
    ),
    ("Slice thickness 5 mm. Right frontal mass.", None),
    # fractions, more decimals, other ways to write three diameters
    ("Right parietal tumour, 2½ cm across.", (25,)),
    ("Right parietal tumour of 1 3/4 cm.", (17.5,)),
    ("Right parietal tumour of .9 cm.", (9,)),
    ("A 3.125 x 2.075 cm right parietal tumour.", (31.25, 20.75)),
    ("Right parietal tumour, 2.625 cm.", (26.25,)),
    ("Right parietal tumour of between 2 and 3 cm.", (25,)),
    ("Lesion 2 15 mm, right parietal lobe.", (15,)),
    ("Right parietal tumour, 41/33/29 mm.", (41, 33, 29)),
    ("Right parietal tumour: 41 mm AP, 33 mm TV and 29 mm CC.", (41, 33, 29)),
    ("Right parietal tumour, ca. 3 cms.", (30,)),
    ("Right parietal tumour of half a centimeter.", (5,)),
    ("Right parietal tumour of one and a half centimeters.", (15,)),
    ("Right parietal tumour measuring 30 x 20 mm axially and 25 mm craniocaudally.", (30, 20, 25)),
    ("Right parietal tumour, 30 x 20 mm in the axial plane with a craniocaudal extent of 25 mm.", (30, 20, 25)),
    ("Right parietal tumour: AP 2.4 cm, TV 1.8 cm, CC 2.0 cm.", (24, 18, 20)),
    ("Right parietal tumour, 24 (AP) x 18 (T) x 20 (CC)mm.", (24, 18, 20)),
    ("Right parietal tumour measures 4.2 x 3.1 x approximately 2.8 cm.", (42, 31, 28)),
    # how much it grew is not how large it is
    ("Right parietal tumour, 4 mm larger than before.", None),
    ("Right parietal tumour has grown by 4 mm.", None),
    ("Right parietal tumour, 8 mm -> 12 mm.", (12,)),
    ("Right parietal tumour, 30 mm -> stable.", (30,)),
    ("Right parietal tumour reduced by half to 2 cm.", (20,)),
    # a number that is no length
    ("Right parietal tumour, SUV 3.2 and 12 mm in size.", (12,)),
    ("Right parietal tumour on images 14, 15 and 16 mm in size.", (16,)),
    # what was measured at an earlier time
    ("The right parietal tumour has enlarged from 1.8 cm to 2.9 cm.", (29,)),
    ("The right parietal tumour shrank from 31 x 22 mm to 18 x 11 mm.", (18, 11)),
    ("Right parietal tumour, growing from 12 to 19 mm.", (19,)),
    ("Right parietal tumour ranging from 2 to 3 cm.", (25,)),
    ("Right parietal tumour, formerly 38 mm, measures 26 mm today.", (26,)),
    ("Right parietal tumour, 12 mm. Formerly it measured 19 x 8 mm.", (12,)),
    ("Right parietal tumour, 12 mm. It was 21 x 20 mm on the prior MRI.", (12,)),
    ("The right parietal tumour was 21 x 20 mm in size.", (21, 20)),
    ("Compared with the previous scan, the right parietal tumour measures 3.3 cm.", (33,)),
    ("The right parietal tumour is larger than before, 29 mm vs. 18 mm.", (29,)),
    ("Midline shift from a 33 mm right parietal tumour.", (33,)),
    ("Right parietal tumour of 33 x 28 mm compressing the ventricle.", (33, 28)),
    # distances, and sizes of something else
    ("Right parietal tumour 3 cm from the falx.", None),
    ("Right parietal tumour, lying 12 mm deep to the cortex, 26 mm in diameter.", (26,)),
    ("Right parietal tumour. The fourth ventricle measures 12 mm.", None),
    ("Right parietal tumour. Size of the third ventricle 9 mm.", None),
    ("Right parietal tumour. The pituitary measures 7 mm in height.", None),
    ("Right parietal tumour. Sphenoid sinus polyp measuring 14 mm.", None),
    ("Right parietal tumour. A 6 mm in diameter aneurysm of the basilar artery.", None),
    # "it" is the tumour, whatever else the sentence names
    ("Right parietal tumour. It measures 33 x 28 mm and compresses the ventricle.", (33, 28)),
    ("Right parietal tumour. Measuring 33 mm, it shows no necrosis.", (33,)),
]


@pytest.mark.parametrize(("text", "diameters_mm"), SIZES)
def test_size_is_bound_to_the_lesion(text: str, diameters_mm: tuple[float, ...] | None) -> None:
    size = read_report(text).lesions[0].size
    assert (None if size is None else size.diameters_mm) == diameters_mm


@pytest.mark.parametrize(
    "piece",
    [
        "A 4.2 x 3.1 x 2.8 cm ring-enhancing mass in the right frontal lobe. No hemorrhage. ",
        "a mass in the right frontal lobe, no hemorrhage, ",
        "右侧额叶见环形强化肿块,大小约4.2cm×3.1cm×2.8cm,周围水肿明显。",
        "FINDINGS\nmass\n",
        "4 x 4 x ",
        "left  \n  ",
        "frontal",
    ],
)
def test_time_grows_with_the_length_of_the_text_not_faster(piece: str) -> None:
    def seconds(characters: int) -> float:
        text = piece * (characters // len(piece))
        start = time.process_time()
        read_report(text)
        return time.process_time() - start

    seconds(2_000)
    small = min(seconds(20_000) for _ in range(3))
    # eight times the text: 8 times the time when linear, 64 times when quadratic
    large = min(seconds(160_000) for _ in range(3))  # a busy machine slows one of them, not all
    assert large < 24 * max(small, 0.005)


def test_micrometres_are_no_millimetres() -> None:
    for unit in ("\u03bcm", "\u00b5m"):  # the Greek letter and the micro sign
        assert sizes_in(f"A focus of 5 {unit}.") == []
    assert [size.diameters_mm for size in sizes_in("A mass of 1\u00bd cm.")] == [(15.0,)]
