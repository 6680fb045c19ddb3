"""The words of MRI sequences' names, as data for the rule in `annofree.modality`; all in lower case."""

from __future__ import annotations

import re


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


T1_NAMES = _set("mprage memprage mp2rage bravo spgr fspgr")
CONTRAST = _set(
    "ce gd gad gado gadolinium gadovist gadavist gadobutrol gadoterate gadoteridol gadopiclenol gadobenate gadodiamide "
    "dotarem clariscan magnevist prohance "
    "multihance omniscan gbca gddtpa dtpa km kontrast kontrastmittel contrast contrasted contraste contrasto "
    "kontrastas gadolinio inyectado mdc cplus post postcontrast enhanced enhancement enhancing "
    "enh inj injection injected 增强 造影 增強 造影後 造影后 "
)
PLAIN = _set(
    "unenhanced plain noncontrast nocontrast precontrast noce nogd nogad nocon native nativ nc 平扫 造影前 cminus"
)
NEGATORS = _set(
    "pre non no not without wo wout sans ohne kein minus before prior sin senza sem zonder uten utan vor voor avant "
    "före før antes uden geen ilman bez brez przed před pred pré prä prae fara fără tanpa без до"
)
#: Behind a word for contrast agent they say that none was given.
NONE_BEHIND = _set("free frei none öncesi oncesi nélkül nelkul")
#: In front of a sequence, and of no word for contrast agent, these may be a patient's name or initials.
NAMES_TOO = _set(
    "wout kein sin senza sem zonder uten utan vor voor avant före før antes con com mit met med avec pp "
    "uden geen ilman bez brez przed před pred pré prä prae fara fără tanpa без до"
)
#: Endings that take contrast agent away (`kontrastsiz`, `kontrastfrei`), and what begins like contrast agent and is.
AGENT_FREE = re.compile(r"(gado|[ck]ontrast)[a-z]*?(s[iı]z|frei|free|fri|los|loos|less|itt?a)")
AGENT_BEGINS = re.compile(r"(gado|[ck]ontrast)[a-z]+")
#: Words for contrast agent that a minus turns round.
AGENT = re.compile(r"c|ce|gd|gad|gado|km|cm|contrast|kontrast", flags=re.IGNORECASE)
#: A sequence with letters behind it (`t1pc`), where they are not understood and no patient's number.
TAILED = re.compile(r"t[12][a-z]{1,4}")
WITH = _set("with w plus + con com mit met med avec")
#: FLAIR by its Chinese name.
WATER_SUPPRESSED = _set("压水 抑水 水抑制")
#: Gradient echoes: a T2 of them is weighted by T2*.
GRADIENT = _set("gre fgre ffe fl2d fl3d")
LINKS = _set("to in into on onto 2")
OTHER = _set(
    "sub subtraction subtracted subtract subtr diff difference ratio map maps star t2star t2s swi swan adc dwi "
    "dti trace trw b0 b1000 fa bold fmri func rest perf perfusion dsc dce pwi asl cbf cbv rcbv mtt ttp tmax "
    "ktrans pd pdw pdt2 mra tof mrv angio localizer localiser scout survey phase qsm r2star r2s mt mtr mtsat pet "
    "fdg cta spect inv1 inv2 t1rho hemo haemo t1map t2map pc mrs spectroscopy "
)
VISIT_SECOND = _set(
    "op operative operation operativ treatment surgery surgical rt radiotherapy chemo biopsy resection "
)
#: Words of a visit that belong to the id in front of a sequence (`P1_bl_T1` and `P1_fu_T1` are two scans).
VISIT_OF_ID = _set("bl initial fu fup") | {
    f"{when}{what}" for when in ("pre", "post") for what in VISIT_SECOND - {"op", "operative"}
}
NEUTRAL = VISIT_OF_ID | _set(
    "ax axi axial axiale tra trans transversal transverse cor coronal sag sagittal obl oblique se tse fse ffe tfe "
    "gre space cube vista spc ns nonselective wip ir tir fs fatsat fatsuppressed spir spair blade haste "
    "propeller iso isotropic hr hires "
    "highres lowres mpr mprs vibe thrive tfl fl2d fl3d fl sense grappa caipi turbo fast w wi wt wtd weighted "
    "weighting seq sequence series magn "
    # processing and places
    "bet raw brain stripped skullstripped strip ss skull skullstrip n4 n4itk bfc bias biascorrected corrected "
    "corr unbiased denoised denoise nlm reg registered registration rigid affine warped aligned align coreg "
    "coregistered preproc preprocessed preprocessing processed proc resampled resample resamp resliced norm "
    "normalised normalized zscore standardised standardized mni mni152 sri sri24 atlas std standard orig original "
    "final new copy defaced deface anon anonymized anonymised crop cropped unstripped pp "
    "rsri ssfinal reoriented reorient ras lps lpi las "
    "rai rsa img image vol volume mr mri scan nii nifti head hdbet synthstrip brainextracted extracted anat "
    "anatomical structural clean input full matched hist rms br "
    # dcm2niix: slices made equidistant, a tilt of the gantry undone, motion corrected
    "eq tilt moco "
    # visits
    "preop postop preoperative postoperative intraop baseline followup tp visit session day week month year "
)
#: What dcm2niix puts behind the names of a complex image's parts and of field maps; elsewhere they may be initials.
COMPONENTS = _set("ph phmag real imaginary imag fieldmaphz")
#: BIDS' suffix of the uniform image of an MP2RAGE, which is weighted by T1.
UNIFORM = re.compile(r"^(sub-.*_)?UNIT1$")
SUSPECT = re.compile(r"contrast|kontrast|enhanc|gado|postc|postg|gbca|synth|fake|predict|generat|simul|subtr|quant")
ENTITY = re.compile(
    r"(sub|ses|run|task|space|echo|part|hemi|res|den|split|dir|recording|chunk|acq|ce|rec|desc|mod|trc|inv|mt|flip)-([^_]+)",
    flags=re.IGNORECASE,
)
SPOKEN_ENTITIES = _set("acq rec desc mod")
TECHNICAL = re.compile(r"s?\d+d|\d+(p\d+)?(t|mm|min|s|ms|tesla)|iso\d*|t[re]\d+")
REGISTERED = _set("reg registered registration coreg coregistered aligned align warped resampled resliced")
#: Words of a compound without blanks; single letters stand beside a base only.
ATOMS = sorted(
    _set(
        "t1 t2 flair weighted wi w c n tse fse se fs fatsat 3d 2d ax axial tra sag cor to in 2 darkfluid space pre "
        "post non no star map f k gre without brain reg bet mni ir iso with mri"
    )
    | T1_NAMES
    | CONTRAST
    | PLAIN
    | WATER_SUPPRESSED,
    key=lambda atom: (-len(atom), atom),
)
LETTERS = frozenset("wcnfk")
#: What letters mean in a compound.
SPELT = {"c": "contrast", "k": "km", "n": "nocontrast", "f": "flair"}
BASES = {
    "t1": "T1",
    "t2": "T2",
    "flair": "FLAIR",
    "fla": "FLAIR",
    "darkfluid": "FLAIR",
}
BASES |= dict.fromkeys(T1_NAMES, "T1") | dict.fromkeys(WATER_SUPPRESSED, "FLAIR")
