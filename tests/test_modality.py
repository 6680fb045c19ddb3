"""A name that is read wrongly is a wrong answer: contrast words count wherever they stand, and doubt makes it ask."""

from __future__ import annotations

import re

import pytest

from annofree.errors import InputError
from annofree.modality import Modality, read_words

NAMES = {
    "T1C": """T1_CE ce-gad_T1w T1_post CT1 CT1_ T1+C T1_+_C T1_Gd post_contrast_T1 MPRAGE_post t1wce ax_t1_fs_post
        t1ce t1c T1Gd T1POST t1_post_contrast t1km T1wCE CET1 ce_t1w sub-01_ce-gadolinium_T1w
        sub-1_ses-post_ce-gad_T1w t1+gd T1w_c+ T1-c gd_t1 PostGd_T1 postContrastT1w P01_post_T1 t1_mprage_sag_gd
        sag_mprage_km t1_contrast_enhanced t1_se_post2 T1_with_contrast t1_w_contrast T1增强 T1c_to_FLAIR
        contrast-T1 T1.CE T1_C mprage_gado 3D_T1_MPRAGE_post_contrast BraTS-GLI-00027-000-t1c
        bet_TCGA-DU-7294_t1c_bet T1_post_2mm T1_preop_ce t1ce_n4 T1_FLAIR_post T1CE_postop sub-1_acq-postgd_T1w
        T1_fs_Gd bravo_post enhanced_T1 cT1w T1+KM T1_plus_C T1-Gd-DTPA SPGR_GAD gadT1 t1_ax_gd_001
        hdbet_native_t1c CT1_r2s_bet_reg CE-T1w CE-MPRAGE Ax_FSPGR_3D_BRAVO_+C""",
    "T1": """T1 t1n T1w t1_pre t1native t1_mprage mprage pre_contrast_T1 T1_pre_contrast T1_without_contrast
        T1_no_contrast T1_noCE sub-01_T1w sub-01_ses-post_T1w T1_FLAIR t1_flair_ax post_op_T1 T1_postop
        T1_brain_n4 T1_to_SRI24 T1_2mm T1_space-FLAIR BraTS2021_00006_t1 T1w_in_FLAIR T1_weighted
        sub-01_ce-none_T1w T1_native t1_ax_0001 t1_unenhanced t1_fl3d T1_GRE T1_C-_ bet_t1 sub-CE01_T1w fspgr_brain""",
    "T2": "T2 t2_spc t2w t2_tse T2_TSE_ax t2_fs t2_to_t1 sub-1_T2w sub-1_part-mag_T2w",
    "FLAIR": """fla fl t2f T2_FLAIR flair dark_fluid t2_tirm_dark-fluid T2_FLAIR_FS t2flair FLAIR_T2 darkfluid
        T2-dark-fluid t2_space_dark-fluid_sag FLAIR_to_T1 FLAIR_space-T1w sub-1_space-T1w_FLAIR flair2t1
        Subj1_FL ax_flair 3D_FLAIR reg_2_T1_FLAIR reg2T1_FLAIR P_2_FLAIR tirm_dark_fluid
        fluid_attenuated_inversion_recovery""",
}
DOUBTFUL = """T1_xyz T1_T2 FLAIR_T1 CE_012_T1 T2_STIR T1_pre_post postcontrast_P1_T1 T1_synthetic
        synthetic_T1 T1_reg_FLAIR
    T1_water gd_P01_T1 pre_T1_ce P-KM7_T1"""
OTHER = """T1_map T2star T2_star T2* t2_swi T1_sub T1-sub T1_subtraction dwi sub-01_inv-1_T1w sub-01_part-phase_T2w
        mt_T1 T1_ratio T1_r2s t2_gre_hemo T2_GRE T2W_FFE ax_gre_t2 t2_fl2d_tra"""


@pytest.mark.parametrize(("name", "sequence"), [(n, s) for s, names in NAMES.items() for n in names.split()])
def test_a_contrast_word_qualifies_the_base_wherever_it_stands(name: str, sequence: str) -> None:
    assert read_words(name).sequence == Modality(sequence)


@pytest.mark.parametrize("name", DOUBTFUL.split())
def test_words_that_could_change_the_meaning_are_asked_about(name: str) -> None:
    found = read_words(name)
    assert found.sequence is None
    assert found.doubt
    assert found.possible


@pytest.mark.parametrize("name", OTHER.split())
def test_what_is_none_of_the_four_is_known_to_be_something_else(name: str) -> None:
    found = read_words(name)
    assert (found.sequence, found.doubt, found.other) == (None, None, True)


def test_a_known_case_is_not_read() -> None:
    assert read_words("CE_012_T1", known_case="CE_012").sequence is Modality.T1
    assert read_words("CE_012_T1_gd", known_case="CE_012").sequence is Modality.T1C
    assert read_words("BraTS-GLI-00027-000-t1c", known_case="BraTS-GLI-00027-000").sequence is Modality.T1C


def test_what_is_unusual_about_a_sequence_is_said() -> None:
    assert read_words("T1_FLAIR").remark == "a T1-weighted FLAIR is taken as T1"
    assert read_words("FLAIR_post").remark == "a FLAIR after contrast is taken as FLAIR"


@pytest.mark.parametrize("text", ["T1 post-contrast", "T1-weighted with contrast", "t1+c"])
def test_descriptions_are_parsed_like_names(text: str) -> None:
    assert Modality.parse(text) is Modality.T1C


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("AX T1 C-", "T1"),
        ("T1C-", "T1"),
        ("T1W C(-)", "T1"),
        ("T1 Gd- tra", "T1"),
        ("T1 sin contraste", "T1"),
        ("T1 senza mdc", "T1"),
        ("t1 vor KM", "T1"),
        ("AX T1 C+", "T1C"),
        ("C+ T1", "T1C"),
        ("T1W C(+)", "T1C"),
        ("T1 con mdc", "T1C"),
        ("t1 nach KM", None),
        ("AX T1 -C", None),
        ("T1 före KM", "T1"),
        ("T1 gadolinio", "T1C"),
        ("T1 kontrastmedel", "T1C"),
        ("sem contraste T1", "T1"),
        ("sT1W_3D_TFE", "T1"),
        ("WIP sT1W_3D_TFE_GD", "T1C"),
        ("sT2W_FLAIR", "FLAIR"),
        ("T1 kontrastsiz", "T1"),
        ("T1_kontrastfrei", "T1"),
        ("T1_bez_kontrastu", "T1"),
        ("T1_KM_frei", "T1"),
        ("T1_uden_kontrast", "T1"),
        ("T1_-Gd", None),
        ("T1_kontrastli", "T1C"),
        ("T1造影前", "T1"),
        ("T2压水", "FLAIR"),
    ],
)
def test_signs_other_languages_and_presets_are_read(name: str, sequence: str | None) -> None:
    found = read_words(name)
    assert found.sequence == sequence
    assert (found.doubt is not None) == (sequence is None)


@pytest.mark.parametrize("name", ["t1pc", "P1_t1kmw", "T1_PC", "P1_T1_c1"])
def test_what_begins_like_a_sequence_and_goes_on_unknown_is_asked_about(name: str) -> None:
    """An image after contrast agent was passed over, or taken for the one before."""
    found = read_words(name)
    assert (found.doubt is not None, found.possible) == (True, ("T1", "T1C"))


@pytest.mark.parametrize(
    ("name", "sequence"),
    [("T1Gd_postRT", "T1C"), ("FLAIR_presurgery", "FLAIR"), ("T1_BL", "T1"), ("T2_C01", "T2"), ("T2DM01_T1", "T1")],
)
def test_a_visit_in_one_word_and_ids_leave_no_doubt(name: str, sequence: str) -> None:
    assert read_words(name).sequence == sequence


@pytest.mark.parametrize("patient", ["Sem", "Sin", "Con", "Met", "Wout", "PP", "Bez", "Pred"])
@pytest.mark.parametrize(("word", "sequence"), [("T1", "T1"), ("T1c", "T1C"), ("CT1", "T1C"), ("flair", "FLAIR")])
def test_small_words_are_names_where_no_contrast_word_follows(patient: str, word: str, sequence: str) -> None:
    found = read_words(f"{patient}_{word}")
    assert (found.sequence, found.start) == (sequence, len(patient) + 1)


@pytest.mark.parametrize("text", ["P1_T1", "t1 foo", "with contrast", "", "dwi"])
def test_more_than_a_sequence_is_no_sequence(text: str) -> None:
    with pytest.raises(InputError, match="not a sequence"):
        Modality.parse(text)


@pytest.mark.parametrize("name", ["T1_-C", "AX T1 -C", "p1_T1 -gd"])
def test_a_sign_that_may_be_a_minus_or_a_hyphen_is_asked_about_as_such(name: str) -> None:
    found = read_words(name)
    assert found.possible == ("T1", "T1C")
    assert re.fullmatch(r"'-\w+' may be a minus \(no contrast agent\) or a hyphen \(with.*", found.doubt or "")


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("sub-01_UNIT1", "T1"),
        ("sub-01_acq-highres_UNIT1", "T1"),
        ("UNIT1", "T1"),
        ("unit1_FLAIR", "FLAIR"),
        ("P1_T1_Eq_1", "T1"),
        ("t2_flair_20200101120000_7_Tilt_1", "FLAIR"),
        ("t1_mprage_post_7_Tilt_Eq_1", "T1C"),
        ("4_T1_MoCo", "T1"),
        ("T1_mprage_e1", "T1"),
        ("T1_mprage_ph", None),
        ("T1_mprage_e2_real", None),
        ("FLAIR_5_imaginary", None),
        ("T1_fieldmaphz", None),
    ],
)
def test_what_bids_and_dcm2niix_put_behind_is_read(name: str, sequence: str | None) -> None:
    found = read_words(name)
    assert found.sequence == sequence
    assert found.doubt is None
    assert found.other is (sequence is None)
