"""Groups in which a cohort is reported: by size, by enhancement, by kind of lesion."""

from __future__ import annotations

#: Borders in ml of the volume groups (whole tumour); a border belongs to the middle group.
VOLUME_BORDERS_ML = (5.0, 30.0)

#: From this volume of enhancing tumour on, core and enhancing scores mean more than convention.
ENHANCING_ML = 2.0

NO_TUMOUR = "no tumour"
UNSTATED = "unstated"


def strata_of(whole_ml: float, enhancing_ml: float | None, kind: str | None = None) -> dict[str, str]:
    """The groups of one case by criterion, from its truth.

    `enhancing_ml` is None where the truth does not tell it apart; the kind ("glioma", "meningioma"...) is what the
    caller knows.

    Example:
        >>> strata_of(12.0, 0.4, "glioma")
        {'volume': '5-30 ml', 'enhancement': 'ET < 2 ml', 'kind': 'glioma'}
    """
    if whole_ml == 0:
        return {"volume": NO_TUMOUR, "enhancement": NO_TUMOUR, "kind": kind or UNSTATED}
    enhancement = UNSTATED
    if enhancing_ml is not None:
        enhancement = f"ET {'>=' if enhancing_ml >= ENHANCING_ML else '<'} {ENHANCING_ML:g} ml"
    return {"volume": _volume_group(whole_ml), "enhancement": enhancement, "kind": kind or UNSTATED}


def _volume_group(volume_ml: float) -> str:
    low, high = VOLUME_BORDERS_ML
    if volume_ml < low:
        return f"< {low:g} ml"
    return f"{low:g}-{high:g} ml" if volume_ml <= high else f"> {high:g} ml"
