"""The pages as a reader has them: in a browser, offline, with and without WebGL, with the keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from annofree.review.patient import page_path

from .browser import Browser
from .conftest import NASTY, Case

pytestmark = pytest.mark.timeout(1200)
READY = "document.documentElement.dataset.viewer === 'ready'"


def move_slider(browser: Browser, region: str, stop: int) -> tuple[int, float, float]:
    """Move a threshold as a hand would; the voxels and ml shown, and the threshold there."""
    browser.run(
        f"(() => {{ const s = document.getElementById('slider-{region}'); s.value = {stop};"
        " s.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    browser.wait(f"document.getElementById('now-{region}').getAttribute('x1') === '{stop}'")
    voxels, text, value = browser.run(
        f"[document.getElementById('volume-{region}').dataset.voxels,"
        f" document.getElementById('volume-{region}').textContent,"
        f" JSON.parse(document.getElementById('annofree-data').textContent).levels['{region}'].stops[{stop}]]"
    )
    return int(voxels), float(text.removesuffix(" ml")), float(value)


def test_the_patient_page_opens_shows_its_viewer_and_counts_what_python_counts(
    browser: Browser, out: Path, cases: tuple[Case, ...]
) -> None:
    case, page = cases[0], page_path(out, "p-10")
    browser.requests.clear()
    browser.open(page)
    for region, stop in (("WT", 30), ("WT", 101), ("WT", 250), ("TC", 101), ("ET", 60)):
        voxels, ml, threshold = move_slider(browser, region, stop)
        around = {"WT": case.result.brain, "TC": case.result.mask("WT"), "ET": case.result.mask("TC")}[region]
        expected = (case.result.scores[region].values > np.float32(threshold)) & around
        assert voxels == expected.sum()
        assert ml == pytest.approx(expected.sum() * case.scan.voxel_ml, abs=0.0051)
    browser.wait(READY)
    assert browser.run("document.querySelector('input[name=overlay]:checked').value") == "score"
    assert browser.run("getComputedStyle(document.getElementById('planes')).visibility") == "hidden"

    lesion = browser.wait_coloured("#canvas", lambda pixels: pixels > 200)  # the viewer shows the scores in colour
    browser.key("2")
    assert browser.run("document.querySelector('input[name=sequence]:checked').value") == "T1C"
    assert browser.run("[...document.querySelectorAll('.mosaic .tile')].every((t) => t.offsetHeight > 60)")
    shown = "[...document.querySelectorAll('.mosaic img[data-sequence=T1C]')].every((i) => i.offsetHeight > 60)"
    assert browser.run(shown)
    browser.key("m")
    assert browser.run("document.querySelector('input[name=overlay]:checked').value") == "mask"
    browser.key("n")
    browser.wait("document.documentElement.dataset.painted === 'T1C none'")
    browser.wait_coloured("#canvas", lambda pixels: pixels < 0.1 * lesion)

    assert browser.outside(page) == []
    assert browser.complaints == []


@pytest.fixture
def without_webgl(browser: Browser) -> Iterator[None]:
    """Pages get no WebGL."""
    source = "HTMLCanvasElement.prototype.getContext = () => null"
    made = browser.send("Page.addScriptToEvaluateOnNewDocument", source=source)
    yield
    browser.send("Page.removeScriptToEvaluateOnNewDocument", identifier=made["identifier"])


@pytest.mark.usefixtures("without_webgl")
def test_the_keyboard_alone_moves_the_threshold(browser: Browser, out: Path, cases: tuple[Case, ...]) -> None:
    browser.open(page_path(out, "p-10"))
    own = int(browser.run("document.getElementById('slider-WT').value"))
    before = browser.run("Number(document.getElementById('volume-WT').dataset.voxels)")
    browser.run("document.getElementById('slider-WT').focus()")
    for _ in range(3):
        browser.key("ArrowRight")
    browser.key("]")
    browser.wait(f"document.getElementById('slider-WT').value === '{own + 4}'")
    browser.wait(f"Number(document.getElementById('volume-WT').dataset.voxels) < {before}")
    browser.key("r")
    browser.wait(f"Number(document.getElementById('volume-WT').dataset.voxels) === {before}")
    mask = cases[0].result.scores["WT"].values > np.float32(0.4)
    assert before == (mask & cases[0].result.brain).sum()


@pytest.mark.usefixtures("without_webgl")
def test_without_webgl_there_are_still_pictures_and_numbers(browser: Browser, out: Path) -> None:
    browser.open(page_path(out, NASTY))
    browser.wait("document.getElementById('viewer-note').textContent.includes('no WebGL')")
    shown = "[...document.querySelectorAll('.planes img:not([hidden])')].filter((i) => i.naturalWidth > 50).length"
    browser.wait(f"{shown} === 6")
    assert move_slider(browser, "WT", 5)[0] > move_slider(browser, "WT", 200)[0]
    outlines = "getComputedStyle(document.querySelector('.planes .outline')).visibility"
    assert browser.run(outlines) == "visible"  # no score can be shown in its place
    browser.key("n")
    assert browser.run(outlines) == "hidden"
    assert browser.run("document.querySelector('.needs-viewer').offsetHeight") == 0
    assert browser.complaints == []


@pytest.mark.usefixtures("without_webgl")
def test_a_hostile_name_is_text_and_nothing_else(browser: Browser, out: Path) -> None:
    browser.open(page_path(out, NASTY))
    assert browser.run("document.querySelector('h1').textContent") == NASTY
    browser.open(out / "index.html")
    assert NASTY in browser.run("document.querySelector('#cohort').textContent")
    assert browser.run("document.querySelectorAll('b:not(.meter b)').length") == 0


def test_the_cohort_page_sorts_and_leads_to_the_patients(browser: Browser, out: Path) -> None:
    page = out / "index.html"
    browser.requests.clear()
    browser.open(page)
    names = "[...document.querySelectorAll('#cohort tbody tr:not([hidden])')].map((r) => r.cells[1].textContent)"
    assert browser.run(names) == ["p-9", "p-10", NASTY]  # nothing found first, then the least certain
    click = "document.querySelectorAll('#cohort th button')[{}].click()"
    browser.run(click.format(0))
    assert browser.run(names) == [NASTY, "p-9", "p-10"]
    browser.run(click.format(1))
    volumes = browser.run("[...document.querySelectorAll('#cohort tbody tr')].map((r) => Number(r.cells[2].dataset.v))")
    assert volumes == sorted(volumes)
    browser.run(click.format(1))
    falling = browser.run("[...document.querySelectorAll('#cohort tbody tr')].map((r) => Number(r.cells[2].dataset.v))")
    assert falling == volumes[::-1]
    assert browser.run("document.querySelectorAll('#cohort th')[2].getAttribute('aria-sort')") == "descending"
    browser.run("document.getElementById('find').value = 'p-10'")
    browser.run("document.getElementById('find').dispatchEvent(new Event('input'))")
    assert browser.run(names) == ["p-10"]
    assert "Copy it again" in browser.run("document.querySelector('.failures').textContent")
    assert browser.outside(page) == []
    browser.run("document.querySelector('#cohort tbody tr:not([hidden]) td:nth-child(2) a').click()")
    browser.wait("location.pathname.endsWith('sub-p10.html') && document.readyState === 'complete'")


def test_a_narrow_window_scrolls_its_tables_and_not_the_page(browser: Browser, out: Path) -> None:
    narrow = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.send("Emulation.setDeviceMetricsOverride", **narrow)
    try:
        browser.open(out / "index.html")
        assert browser.run("document.documentElement.scrollWidth") <= 390
        words = "[...document.querySelectorAll('#cohort td:nth-child(2) a')].map((a) => a.getClientRects().length)"
        assert browser.run(words)[:2] == [1, 1]  # p-9 and p-10 stand on one line each
        browser.open(page_path(out, "p-10"))
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.run("document.querySelector('#stage').offsetHeight") <= 1.1 * 390
    finally:
        browser.send("Emulation.setDeviceMetricsOverride", **{**narrow, "width": 1280})


def test_planes_fill_the_window_and_findings_stand_above_the_fold(browser: Browser, out: Path) -> None:
    browser.open(page_path(out, "p-10"))
    browser.wait(READY)
    bottom = "document.querySelector('{}').getBoundingClientRect().bottom"
    assert browser.run(bottom.format("tr[data-voxel]")) < 800
    assert browser.run(bottom.format("#stage")) <= 800
    width, height = browser.run(
        "[document.querySelector('#stage').offsetWidth, document.querySelector('#stage').offsetHeight]"
    )
    assert height > 0.55 * 800
    assert 0.8 < width / height < 1.3  # two planes wide and two high


def test_brightness_contrast_and_overlay_change_the_picture(browser: Browser, out: Path) -> None:
    browser.open(page_path(out, "p-10"))
    browser.wait(READY)
    browser.key("m")
    coloured = browser.wait_coloured("#canvas", lambda pixels: pixels > 200)

    def turn(knob: str, value: int) -> None:
        browser.run(
            f"(() => {{ delete document.documentElement.dataset.painted; const k = document.getElementById('{knob}');"
            f" k.value = {value}; k.dispatchEvent(new Event('input')); }})()"
        )
        browser.wait("document.documentElement.dataset.painted")

    mean = "#canvas"
    before = browser.grey(mean)
    turn("level", 80)
    assert browser.grey(mean) > before + 10
    browser.run("document.getElementById('look').click()")
    browser.wait("document.getElementById('level').value === '50'")
    turn("opacity", 100)
    assert browser.wait_coloured("#canvas", lambda pixels: pixels > coloured) > coloured


def test_a_click_moves_the_crosshair(browser: Browser, out: Path, cases: tuple[Case, ...]) -> None:
    browser.open(page_path(out, "p-10"))
    browser.wait(READY)
    where = "document.getElementById('where').textContent"

    def shown_mm() -> list[float]:
        return [float(v) for v in browser.run(where).split("z ")[1].removesuffix(" mm").split(", ")]

    browser.run("document.querySelector('tr[data-voxel]').click()")
    assert shown_mm() == pytest.approx(cases[0].result.lesions[0].centre_mm, abs=2.5)
    tile = browser.run(
        "(() => { const t = document.querySelectorAll('.mosaic .tile')[8]; t.scrollIntoView();"
        " const r = t.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    )
    left, top, width, height = tile
    browser.click(left + 0.25 * width, top + 0.4 * height)
    x, y, _ = shown_mm()
    inside = np.argwhere(cases[0].result.brain)
    low, high = inside.min(axis=0), inside.max(axis=0)
    expected = cases[0].scan.affine @ [*(low + (high - low) * [0.75, 0.6, 0.5]), 1]  # the patient's right is left
    assert (x, y) == pytest.approx(tuple(expected[:2]), abs=3.5)
