"""A finding with a stated false-alarm rate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from annofree.errors import InputError, SettingsError
from annofree.methods.intensity import Intensity
from annofree.phantom import phantom_subject
from annofree.pipeline import Choice, segment_scan
from annofree.segmentation import Lesion
from annofree.trust.calibrations import weights_fingerprint
from annofree.trust.false_alarms import FILE, FalseAlarms, evidence, uncalibrated


def _lesion(confidence: float | None) -> Lesion:
    return Lesion(index=1, volume_ml=5.0, centre_mm=(0.0, 0.0, 0.0), confidence=confidence)


def _calibrated(values: list[float], rules: str = "r", weights: str = "w") -> FalseAlarms:
    return FalseAlarms({"made": {str(n): value for n, value in enumerate(values)}}, rules, weights)


def test_evidence_is_the_most_certain_finding() -> None:
    assert evidence(()) == 0.0
    assert evidence([_lesion(0.4), _lesion(0.9), _lesion(None)]) == 0.9


def test_the_three_words_by_hand() -> None:
    known = _calibrated([0.0] * 36 + [0.5, 0.6, 0.7])  # n = 39: p = (1 + alike) / 40
    assert known.classify([], 0.05).word == "none"
    tumour = known.classify([_lesion(0.65)], 0.05)
    assert (tumour.word, tumour.p) == ("tumour", 2 / 40)
    unsure = known.classify([_lesion(0.6)], 0.05)
    assert (unsure.word, unsure.p) == ("unsure", 3 / 40)
    assert known.classify([_lesion(0.6)], 0.1).word == "tumour"


def test_without_its_rate_a_finding_claims_none() -> None:
    known = _calibrated([0.1, 0.2, 0.3, 0.4])
    called = known.classify([_lesion(0.9)], 0.2)
    assert called.word == "tumour"
    left = called.without_rate("the scan may not belong (CT)")
    said = "Something was found; no false-alarm rate is stated: the scan may not belong (CT)."
    assert (left.word, left.rate, left.p, left.sentence) == ("unsure", None, None, said)
    nothing = known.classify([], 0.2).without_rate("x")
    assert (nothing.word, nothing.sentence) == ("none", "No tumour was found; no false-alarm rate is stated: x.")


def test_too_few_scans_promise_nothing() -> None:
    found = _calibrated([0.0] * 10).classify([_lesion(0.99)], 0.05)
    assert found.word == "unsure"
    assert "10 made scans can promise no rate of false alarms below 0.09" in found.sentence


def test_a_rate_that_cannot_be_promised_says_which_one_can() -> None:
    known = FalseAlarms({"made": dict.fromkeys("abcdefghi", 0.0), "healthy": {"1": 0.0, "2": 0.8, "3": 0.0}}, "r", "w")
    assert known.lowest_rate == 1 / 4
    found = known.classify([_lesion(0.7)], 0.05)
    assert found.word == "unsure"
    assert "3 healthy scans can promise no rate of false alarms below 0.25" in found.sentence
    assert "from a rate of 0.50 on (--false-alarms 0.50)" in found.sentence  # (1 + 1) / 4
    assert known.classify([_lesion(0.7)], 0.5).word == "tumour"  # and so it is


def test_few_real_scans_are_not_diluted_by_many_made_ones() -> None:
    known = FalseAlarms({"made": dict.fromkeys("abcdefghij", 0.0), "healthy": {"1": 0.0, "2": 0.8, "3": 0.0}}, "r", "w")
    found = known.classify([_lesion(0.7)], 0.3)
    assert (found.word, found.p) == ("unsure", 0.5)
    assert "1 of 3 tumour-free scans (healthy)" in found.sentence


def test_of_exchangeable_scans_no_more_than_stated_are_called() -> None:
    rng = np.random.default_rng(0)
    called = []
    for _ in range(400):
        drawn = rng.beta(2, 2, 61)
        known = _calibrated(list(drawn[:60]))
        called.append(known.classify([_lesion(float(drawn[60]))], 0.1).word == "tumour")
    assert 0.05 < np.mean(called) < 0.15  # 0.1 stated; three standard errors are 0.045


def test_a_calibration_holds_for_its_weights_and_rules_only(tmp_path: Path) -> None:
    Intensity().save(tmp_path)
    plain = Intensity.load(tmp_path)
    _calibrated([0.0] * 39, plain.deciding, weights_fingerprint(tmp_path)).write(tmp_path)
    method = Intensity.load(tmp_path)
    assert method.classify([_lesion(0.9)], 0.05).word == "tumour"
    other = Choice(method, threshold="fixed:3.0").build()
    assert other.classify([_lesion(0.9)], 0.05) == uncalibrated([_lesion(0.9)])
    (tmp_path / "network.safetensors").write_bytes(b"other weights")
    assert Intensity.load(tmp_path).classify([_lesion(0.9)], 0.05).rate is None


def test_a_damaged_calibration_is_told(tmp_path: Path) -> None:
    Intensity().save(tmp_path)
    (tmp_path / FILE).write_text(json.dumps({"form": 1}))
    with pytest.raises(InputError, match="cannot be read"):
        Intensity.load(tmp_path)


def test_results_carry_the_finding() -> None:
    scan = phantom_subject(3, kind="diffuse", spacing_mm=4.0).scan
    result = segment_scan(scan, Choice("intensity-published").build(), locate=False)
    assert result.provenance["finding"]["word"] in ("unsure", "none")
    assert "not calibrated" in result.provenance["finding"]["sentence"]
    with pytest.raises(SettingsError, match="false-alarm rate"):
        Choice("intensity-published", false_alarms=1.5).build()
