from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest

from groundglass.core.geometry import Geometry
from groundglass.core.result import (
    RESEARCH_USE_ONLY,
    RESULT_OUTCOMES,
    Heatmap,
    Outcome,
    Provenance,
    RuleFiring,
    SliceStatus,
    TriageResult,
)
from groundglass.core.study import Rejection
from groundglass.core.verdict_words import NOT_EXCLUDED, NOT_LOOKED_FOR, not_judged_sentence
from groundglass.core.volume import Volume
from groundglass.report.html.report_page import render_page
from groundglass.report.overlay import DRAWING
from made_verdicts import RULE, by_share

ENDS = [outcome for outcome in RESULT_OUTCOMES if outcome is not Outcome.VERDICT]
Ending = Callable[[TriageResult, Outcome], TriageResult]
HOSTILE = "</script><img src=x onerror=alert(1)><!--<script>'\"&{{7*7}}"


class Page(HTMLParser):
    """A page taken apart: tags, references, scripts, words."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.words: list[str] = []
        self._inside: tuple[str, dict[str, str | None]] | None = None
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = (tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is None:
            self.words.append(data)
        elif self._inside[0] == "script":
            self.scripts.append((self._inside[1], data))
        else:
            self.styles.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def study(self) -> dict:
        return json.loads(next(s for attrs, s in self.scripts if attrs.get("id") == "study"))


@pytest.fixture(scope="module")
def page(volume: Volume, result: TriageResult) -> Page:
    return Page(render_page(result, volume))


def test_the_page_refers_to_nothing_outside(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("href", "src", "srcset", "action", "data", "poster", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name)
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"url\((?!#)|@import", page.styles[0])
    assert not re.search(r"fetch|XMLHttp|import\(|https?:", page.scripts[-1][1])


def test_the_policy_admits_only_the_pages_own_style_and_script(page: Page) -> None:
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv")) or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    style, script = (
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (page.styles[0], page.scripts[-1][1])
    )
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": style,
        "script-src": script,
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_hostile_words_stay_words(volume: Volume, result: TriageResult) -> None:
    assert volume.series is not None
    series = replace(
        volume.series,
        description=HOSTILE,
        modality=HOSTILE,
        series_instance_uid=HOSTILE,
        selection_reason=HOSTILE,
        rejected=(Rejection(HOSTILE, HOSTILE),) * 20,
    )
    provenance = replace(
        result.provenance,
        bundle=HOSTILE,
        bundle_statement=HOSTILE,
        recipe={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        bundle_sha256={HOSTILE: "ab" * 32},
    )
    changed = replace(
        result,
        reason=HOSTILE,
        provenance=provenance,
        timings_ms={HOSTILE: 1.0},
        slices=tuple(replace(record, reason=HOSTILE) for record in result.slices),
    )
    page = Page(render_page(changed, replace(volume, series=series, notes=(HOSTILE,))))
    assert len(page.scripts) == 2
    assert "img" not in {tag for tag, _ in page.tags}
    assert page.text.count("onerror=alert(1)") > 10
    assert any(HOSTILE in s["text"] for s in page.study["slices"])
    assert "49" not in re.findall(r"&(\d+)", page.text)


def test_the_verdict_comes_with_its_warning_and_its_figures(
    page: Page, result: TriageResult
) -> None:
    assert result.verdict is not None
    assert "COVID-19 pneumonia" in page.text
    assert RESEARCH_USE_ONLY in page.text
    assert page.text.count(result.provenance.bundle_statement) == 1
    for value in result.verdict.probabilities.values():
        assert f"{value:.3f}" in page.text
    for group in result.groups:
        for value in group.probabilities.values():
            assert f"{value:.3f}" in page.text
    assert "0.9 rule: group 2 named COVID-19 pneumonia with 0.930, more than 0.9." in page.text
    assert "Votes of 3 groups: COVID-19 pneumonia 1, Healthy 2." in page.text


def test_the_warning_comes_before_anything_else(page: Page) -> None:
    assert page.text.index(RESEARCH_USE_ONLY) < page.text.index("Verdict of the network")


def test_a_tie_and_another_threshold_are_told(volume: Volume, result: TriageResult) -> None:
    assert result.verdict is not None
    firing = RuleFiring(1, "CP", 0.93, 0.85)
    verdict = replace(result.verdict, tie=True, rule_firings=(firing,))
    text = Page(render_page(replace(result, verdict=verdict), volume)).text
    assert "The vote was tied; Healthy has the higher mean probability." in text
    assert "0.85 rule: group 2" in text


@pytest.mark.parametrize("outcome", ENDS)
def test_without_a_verdict_the_page_says_why_and_what_to_do(
    volume: Volume, result: TriageResult, without_verdict: Ending, outcome: Outcome
) -> None:
    page = Page(render_page(without_verdict(result, outcome), volume))
    assert f"Made to end as {outcome}." in page.text
    assert "No verdict" in page.text
    assert re.search(r"Check|Send", page.text)
    assert RESEARCH_USE_ONLY in page.text
    assert "Probabilities" not in page.text
    assert len(page.study["slices"]) == len(volume.hu)


def test_everything_left_out_is_told(page: Page, volume: Volume, result: TriageResult) -> None:
    assert volume.series is not None
    for rejection in volume.series.rejected:
        assert rejection.what in page.text
        assert rejection.reason in page.text
    assert volume.series.selection_reason in page.text
    gone = [r for r in result.slices if r.fate is SliceStatus.ELIMINATED_HEADWARD]
    assert f"{len(gone)} slices (z " in page.text
    assert "0.4 of the largest lung area" in page.text


def test_slices_run_from_head_to_feet(page: Page, volume: Volume) -> None:
    numbers = [s["number"] for s in page.study["slices"]]
    assert numbers == list(range(1, len(volume.hu) + 1))
    found = [re.search(r"z (\S+) mm", s["text"]) for s in page.study["slices"]]
    heights = [float(match[1].replace("−", "-")) for match in found if match]
    assert len(heights) == len(numbers)
    assert heights == sorted(heights, reverse=True)


def decoded(uri: str) -> np.ndarray:
    raw = base64.b64decode(uri.split(",", 1)[1])
    return cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)


def test_heat_in_the_page_keeps_its_order(page: Page, result: TriageResult) -> None:
    hottest = result.heatmaps[0]
    number = len(result.slices) - hottest.slice_index
    layer = decoded(page.study["slices"][number - 1]["heat"]).astype(float)
    seen = layer[..., 3] * (layer[..., 2] - layer[..., 0])  # BGRA: red minus blue, as blended
    middle = layer.shape[0] // 2
    assert seen.max() > 0
    row = int(seen.max(axis=1).argmax())
    line = seen[row]
    peak = int(line.argmax())
    assert (np.diff(line[: peak + 1]) >= 0).all()
    assert (np.diff(line[peak:]) <= 0).all()
    assert row > middle  # the lesion is at the back
    assert peak < layer.shape[1] / 2  # on the patient's right


def test_slices_without_heat_have_no_layer(page: Page, result: TriageResult) -> None:
    assert result.coarse_heat is not None
    hot = {len(result.slices) - index for index in result.coarse_heat.slice_indices}
    assert hot < {s["number"] for s in page.study["slices"]}
    assert {s["number"] for s in page.study["slices"] if s["heat"]} == hot


def test_threshold_and_window_are_stated(page: Page) -> None:
    assert f"{DRAWING.heat_threshold:g} threshold" in page.text
    assert "W 1500, L −600 HU" in page.text


def test_a_class_the_report_does_not_know_is_shown_as_it_is(
    volume: Volume, result: TriageResult
) -> None:
    assert result.verdict is not None
    names = {"CP": "viral", "NCP": "bacterial", "healthy": "healthy"}

    def renamed(mapping: dict) -> dict:
        return {names[key]: value for key, value in mapping.items()}

    verdict = replace(
        result.verdict,
        label="viral",
        probabilities=renamed(dict(result.verdict.probabilities)),
        votes=renamed(dict(result.verdict.votes)),
        rule_firings=(),
    )
    groups = tuple(
        replace(g, label=names[g.label], probabilities=renamed(dict(g.probabilities)))
        for g in result.groups
    )
    changed = replace(result, labels=tuple(names.values()), verdict=verdict, groups=groups)
    assert "viral" in Page(render_page(changed, volume)).text


def test_one_slice_of_air_still_makes_a_page(result: TriageResult, without_verdict: Ending) -> None:
    hu = np.full((1, 12, 9), -1000, dtype=np.int16)
    geometry = Geometry(hu.shape, (5, 2, 2), (0, 0, 0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    ended = replace(
        without_verdict(result, Outcome.TOO_FEW_SLICES),
        mask=np.zeros(hu.shape, bool),
        slices=(),
        timings_ms={},
    )
    page = Page(render_page(ended, Volume(hu, geometry)))
    assert "No verdict: too few slices" in page.text
    assert len(page.study["slices"]) == 1


def test_a_study_of_300_real_slices_stays_under_8_mb(shared_data: Path) -> None:
    paths = sorted((shared_data / "studies/lung-dx-A0001/series-2").glob("*.dcm"))
    assert paths
    datasets = [pydicom.dcmread(path) for path in paths[::4]]
    hu = np.stack([(d.pixel_array * d.RescaleSlope + d.RescaleIntercept) for d in datasets])
    tiled = np.resize(hu.astype(np.int16), (300, *hu.shape[1:]))
    geometry = Geometry(tiled.shape, (1, 0.8, 0.8), (0, 0, 0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
    air = [cv2.morphologyEx(np.uint8(i < -500), cv2.MORPH_CLOSE, np.ones((9, 9))) for i in hu]
    central = np.abs(np.arange(512) - 256) < 150
    mask = np.resize(np.stack(air) > 0, tiled.shape) & central
    ramp = np.linspace(0, 1, 512, dtype=np.float32) * np.ones((512, 1), np.float32)
    heats = tuple(_heat(k, ramp) for k in range(100, 220, 15))
    result = _bare(mask, heats)
    size = len(render_page(result, Volume(tiled, geometry)))
    assert 2_000_000 < size < 8_000_000


def _heat(index: int, heat: np.ndarray) -> Heatmap:
    return Heatmap(index, "CP", heat, 0.5)


def _bare(mask: np.ndarray, heatmaps: tuple[Heatmap, ...]) -> TriageResult:
    """A result with nothing but images in it."""
    provenance = Provenance("0.1.0", "none", {}, "none", {}, "f32", {})
    return TriageResult(
        Outcome.NO_LUNG, "made", ("CP",), None, (), (), mask, heatmaps, {}, provenance
    )


def test_each_note_stands_once_beside_the_verdict(page: Page, result: TriageResult) -> None:
    for note in result.notes:
        assert page.text.count(note.text) == 1
    assert page.text.index(result.notes[0].text) < page.text.index("Probabilities")


def test_a_note_that_is_the_reason_is_not_said_again(
    volume: Volume, result: TriageResult, without_verdict: Ending
) -> None:
    ended = without_verdict(result, Outcome.PART_OF_LUNGS)
    reason = f"Not all was seen. {result.notes[0].text}"
    page = Page(render_page(replace(ended, reason=reason), volume))
    assert "No verdict: the scan shows part of the lungs" in page.text
    assert "ealthy" not in page.text.split("Slices for orientation")[0]
    for note in result.notes:
        assert page.text.count(note.text) == 1


def test_the_burden_is_a_measurement_and_says_so(page: Page, result: TriageResult) -> None:
    burden = result.opacity_burden
    assert burden is not None
    assert "independent of the classifier" in page.text
    assert "−700 to −300 HU" in page.text
    for name in ("Both lungs", "Right lung", "Left lung", "upper third", "lower third"):
        assert name in page.text
    assert f"{burden.total.ground_glass_ml:.0f}" in page.text
    assert f"{burden.total.consolidation_share:.1%}" in page.text


def test_heat_outside_the_lung_and_consistency_are_numbers(page: Page) -> None:
    assert "10% of the heat lies outside the lung mask." in page.text
    assert "similarity of 0.98" in page.text


def test_what_was_counted_can_be_laid_over_every_slice(page: Page, result: TriageResult) -> None:
    lesion = {len(result.slices) - k for k in range(7, 11)}
    assert {s["number"] for s in page.study["slices"] if s["opacity"]} == lesion


def test_another_class_explained_is_named(volume: Volume, result: TriageResult) -> None:
    assert result.coarse_heat is not None
    asked = replace(
        result,
        coarse_heat=replace(result.coarse_heat, label="NCP"),
        heatmaps=tuple(replace(h, label="NCP") for h in result.heatmaps),
    )
    text = render_page(asked, volume).decode()
    assert "Argues for NCP" in text
    assert "heat map for other pneumonia" in text


@pytest.mark.parametrize(
    ("ill", "cp", "kind"),
    [(6, 0.9, "Kind: COVID-19 pneumonia"), (6, 0.6, "Kind not told"), (1, 0.6, "")],
)
def test_a_verdict_by_share_gives_both_answers_once(
    study: tuple[Volume, TriageResult], ill: int, cp: float, kind: str
) -> None:
    volume, result = study
    found = by_share(result, ill, cp)
    page = Page(render_page(found, volume))
    title = "Findings as in pneumonia" if kind else "No findings of pneumonia seen"
    assert f"Verdict of the network {title} {kind}" in page.text
    answers = page.text.split("Verdict of the network")[1].split("Slices")[0]
    assert answers.count("Kind") == bool(kind)
    assert page.text.count(NOT_EXCLUDED if kind else NOT_LOOKED_FOR) == 1
    assert (NOT_EXCLUDED in page.text) == bool(kind)
    judged = sum(record.score is not None for record in found.slices)
    assert f"{ill} of {judged} judged slices" in page.text
    assert page.text.count(result.provenance.bundle_statement) == 1


def test_a_verdict_by_share_speaks_of_no_vote_and_calls_nobody_healthy(
    volume: Volume, result: TriageResult
) -> None:
    text = Page(render_page(by_share(result, 1), volume)).text
    assert not re.search(r"\bvotes?\b|0\.9 rule", text, re.IGNORECASE)
    verdict = text.split("Verdict of the network")[1].split("Slices")[0]
    assert "ealthy" not in verdict
    assert "Ill slice" in text.split("Words")[1]


def test_a_verdict_by_vote_explains_no_words_of_the_other_rule(page: Page) -> None:
    words = page.text.split("Words")[1]
    assert "0.9 rule" in words
    assert "Ill slice" not in words
    assert page.text.count(NOT_EXCLUDED) == 1


def test_groups_of_a_verdict_by_share_tell_their_ill_slices(
    volume: Volume, result: TriageResult
) -> None:
    found = by_share(result, 4)
    html = render_page(found, volume).decode()
    sizes = [len(group.of_slices) for group in found.groups]
    ill = [min(size, max(0, 4 - sum(sizes[:k]))) for k, size in enumerate(sizes)]
    assert len(set(ill)) == 3
    for number, count in enumerate(ill, 1):
        assert re.search(rf"<title>Group {number}: {count} ill slices?, mean score 0\.\d+", html)
    assert html.count('<td class="num win">') == len(sizes)


def test_every_slice_shows_its_score_and_what_it_means(
    volume: Volume, result: TriageResult
) -> None:
    found = by_share(result, 7)
    page = Page(render_page(found, volume))
    judged = {len(found.slices) - r.index: r.score for r in found.slices if r.score is not None}
    for one in page.study["slices"]:
        score = judged.get(one["number"])
        said = "" if score is None else f"score {score:.3f} (ill from 0.5 on)"
        assert ("score" in one["text"]) == bool(said)
        assert said in one["text"]
    assert "ill from 0.5" in page.text.split("The whole study")[1]
    never = Page(render_page(by_share(result, 7, rule=replace(RULE, kind_threshold=None)), volume))
    assert "cannot tell kinds apart" in never.text


def test_no_slice_is_evidence_whose_heat_is_not_drawn(volume: Volume, result: TriageResult) -> None:
    faint = np.float32(0.9 * DRAWING.heat_threshold)
    first, *others = result.heatmaps
    hidden = [replace(one, heat=one.heat / one.heat.max() * faint) for one in others]
    text = Page(render_page(replace(result, heatmaps=(first, *hidden)), volume)).text
    assert text.count("of the heat inside the lung") == 1
    none = replace(first, heat=first.heat * faint)
    text = Page(render_page(replace(result, heatmaps=(none, *hidden)), volume)).text
    assert "of the heat inside the lung" not in text
    assert "reaches the threshold of drawing nowhere" in text
    assert "Slices for orientation" in text
    assert "heat lies outside" not in text
    assert "0.25 threshold" not in text


@pytest.mark.parametrize("outcome", [Outcome.VERDICT, Outcome.FOR_A_READER])
def test_what_was_not_judged_is_told_beside_the_verdict_and_by_third(
    volume: Volume, result: TriageResult, without_verdict: Ending, outcome: Outcome
) -> None:
    ended = result if outcome is Outcome.VERDICT else without_verdict(result, outcome)
    text = Page(render_page(ended, volume)).text
    assert ended.not_judged is not None
    assert text.count(not_judged_sentence(ended.not_judged)) == 1
    assert text.index("Not judged: 20%") < text.index("The whole study")
    assert re.search(r"Not judged Lung, ml.*Both lungs 600 20% 12 40%.*Lower third 300 30%", text)
    none = Page(render_page(replace(ended, not_judged=None), volume)).text
    assert "Not judged" not in none


def test_every_quantity_of_the_images_is_told_with_its_range(
    volume: Volume, result: TriageResult
) -> None:
    text = Page(render_page(result, volume)).text
    assert result.checks
    odd = sum(not check.ok for check in result.checks)
    assert f"{len(result.checks)} check" in text
    assert f"{odd or 'none'} out of range" in text
    for check in result.checks:
        assert check.text in text
    none = Page(render_page(replace(result, checks=()), volume)).text
    assert "Images measured" not in none
