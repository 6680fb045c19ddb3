"""Does this scan belong? All checks, run where every scan passes and before anything is segmented."""

from __future__ import annotations

from collections.abc import Callable

from annofree.anatomy.align import Alignment
from annofree.errors import InputError
from annofree.scan import Scan
from annofree.trust.check import Check
from annofree.trust.contrast import enhancement, fluid_in_flair, fluid_in_t2, same_image
from annofree.trust.levels import constant, contrast_range, hounsfield
from annofree.trust.motion import motion
from annofree.trust.one_head import one_head
from annofree.trust.position import sides, upright
from annofree.trust.shape import cavity, cut, proportions, void
from annofree.trust.stripes import repetition
from annofree.trust.tissue import tissue_order
from annofree.trust.view import View

#: In the order in which they are told. A check that cannot be made on a scan gives None.
CHECKS: tuple[Callable[[View], Check | None], ...] = (
    constant,
    hounsfield,
    same_image,
    one_head,
    enhancement,
    fluid_in_flair,
    fluid_in_t2,
    tissue_order,
    contrast_range,
    upright,
    proportions,
    cut,
    void,
    cavity,
    repetition,
    motion,
    sides,
)


def examine(scan: Scan, known: Alignment | None = None) -> tuple[Check, ...]:
    """Every check that can be made on a scan.

    Its images hold a brain, or it has a brain mask; where that lies in MNI space is worked out where it is not known.

    Raises:
        InputError: There is no brain at all.
    """
    view = View.of(scan, known)
    return tuple(found for check in CHECKS if (found := check(view)) is not None)


def note_of(check: Check) -> str:
    """A warning as a note on the scan."""
    return f"Does this scan belong? {check.warning[:1].upper()}{check.warning[1:]} ({check.name} {check.number:.3g})."


def refuse_misfit(scan: Scan, checks: tuple[Check, ...]) -> None:
    """Refuse a scan with a warning. Raises `InputError`: there is one; it names the first check."""
    warned = [check for check in checks if check.warning]
    if warned:
        raise InputError(
            f"Scan '{scan.id}' does not belong to what the methods are made for",
            why="; ".join(f"{check.warning} ({check.name} {check.number:.3g})" for check in warned),
            fix="Mend the scan, or leave --strict out: it is segmented then, with a warning",
        )
