"""Is there a tumour at all? A finding with a stated false-alarm rate, by conformal calibration on tumour-free scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

from annofree.segmentation import Lesion
from annofree.trust.calibrations import Calibration
from annofree.trust.rate import DEFAULT_RATE

FILE = "false_alarms.json"

Word = Literal["tumour", "none", "unsure"]


def evidence(lesions: Iterable[Lesion]) -> float:
    """How certain the most certain finding is: mean probability inside it, 0 where nothing is left after clean-up."""
    return max((lesion.confidence or 0.0 for lesion in lesions), default=0.0)


@dataclass(frozen=True)
class Finding:
    """The answer for a scan as a whole.

    Attributes:
        word: "tumour", "none" (nothing is left after clean-up) or "unsure".
        rate: Share of tumour-free scans that may be called; None where the model was not calibrated.
        p: The largest share, over kinds, of tumour-free scans with as much evidence, this one counted; None likewise.
        evidence: See `evidence`.
        sentence: All of that in words.
    """

    word: Word
    rate: float | None
    p: float | None
    evidence: float
    sentence: str

    def without_rate(self, why: str) -> Finding:
        """What is left of it where the scan is not like those that taught the rate: whether anything was found."""
        if self.rate is None:
            return self
        word, what = ("none", "No tumour") if self.word == "none" else ("unsure", "Something")
        sentence = f"{what} was found; no false-alarm rate is stated: {why}."
        return Finding(word, None, None, self.evidence, sentence)  # type: ignore[arg-type]


@dataclass(frozen=True)
class FalseAlarms(Calibration):
    """What a model finds in tumour-free scans.

    For a new tumour-free scan that is exchangeable with the n scans of a kind, the share p = (1 + number with as much
    evidence) / (n + 1) is at most `rate` with a chance of at most `rate`, whatever the scores are (split conformal
    prediction, Vovk 2005; Bates et al. 2023, "Testing for outliers with conformal p-values"). The kinds are kept
    apart and the largest p counts: many made scans do not dilute what few real ones show.

    Attributes:
        evidence: Of each calibration scan, by kind ("healthy" are real scans) and id.
        rules: Fingerprint of thresholds, refiners and run settings; other ones were not calibrated.
        weights: Fingerprint of the networks.
    """

    file, what = FILE, "false alarms"

    evidence: Mapping[str, Mapping[str, float]]
    rules: str
    weights: str

    def classify(self, lesions: Iterable[Lesion], rate: float = DEFAULT_RATE) -> Finding:
        """Tumour, none, or unsure.

        `rate` is the share of tumour-free scans that may be called.
        """
        found = evidence(lesions)
        if found == 0.0:
            said = "No tumour was found. That is no proof that there is none."
            return Finding("none", rate, 1.0, found, said)
        alikes = {kind: sum(value >= found for value in own.values()) for kind, own in self.evidence.items()}
        shares = {kind: (1 + alike) / (len(self.evidence[kind]) + 1) for kind, alike in alikes.items()}
        worst = max(shares, key=lambda kind: shares[kind])
        p, alike, n = shares[worst], alikes[worst], len(self.evidence[worst])
        if p <= rate:
            said = f"Tumour: at most {100 * rate:g} of 100 tumour-free scans would be called so"
            said += f" (mean probability {found:.2f}; {alike} of {n} {worst} scans show as much)."
            return Finding("tumour", rate, p, found, said)
        if self.lowest_rate > rate:
            fewest, size = min(((kind, len(own)) for kind, own in self.evidence.items()), key=lambda one: one[1])
            said = f"Unsure: {size} {fewest} scans can promise no rate of false alarms below {self.lowest_rate:.2f};"
            called_at = ceil(100 * p - 1e-9) / 100  # never less than p
            said += f" this finding would be called from a rate of {called_at:.2f} on (--false-alarms {called_at:.2f})."
        else:
            said = f"Unsure: {alike} of {n} tumour-free scans ({worst}) show a finding as certain ({found:.2f})."
        return Finding("unsure", rate, p, found, said)

    @property
    def lowest_rate(self) -> float:
        """The lowest rate that can be promised: one in one more than the scans of the smallest kind."""
        return max(1 / (len(own) + 1) for own in self.evidence.values())

    def try_out(self) -> None:
        """Every number can be compared."""
        for values in self.evidence.values():
            sum(values.values(), 0.0)


def uncalibrated(lesions: Iterable[Lesion]) -> Finding:
    """The finding of a model, or of rules, that was not calibrated on tumour-free scans."""
    found = list(lesions)
    why = "no false-alarm rate is known: the model was not calibrated with these weights and settings"
    if not found:
        return Finding("none", None, None, 0.0, f"No tumour was found; {why}.")
    return Finding("unsure", None, None, evidence(found), f"Something was found; {why}.")
