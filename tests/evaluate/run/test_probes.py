"""The probes: what each shows, and that they tell an honest model from a reader of the source."""

from __future__ import annotations

import numpy as np
import pytest
from made_studies import (
    LABELS,
    RECIPE,
    MeanReader,
    honest_studies,
    lungs_square,
    made_study,
    sourced_studies,
)

from groundglass.core.result import Outcome, StudyEnd, Verdict
from groundglass.errors import SettingsError
from groundglass.evaluate.run.findings import probe_finding, source_verdict
from groundglass.evaluate.run.probes import (
    Probe,
    ProbedStudy,
    ProbeSettings,
    dilate,
    probe_slices,
    probe_study,
)
from groundglass.evaluate.statistics import Predictions
from groundglass.prepare import PreparedStudy, group_slices, prepare

SETTINGS = ProbeSettings()
HONEST = MeanReader(inside=True, threshold=107.0)
CHEAT = MeanReader(inside=False, threshold=230.0, sign=-1.0)
LUNGS = lungs_square()


class Looker:
    """A judge that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[PreparedStudy] = []

    def __call__(self, prepared: PreparedStudy) -> Verdict:
        self.seen.append(prepared)
        return HONEST(prepared)


@pytest.fixture(scope="module")
def study() -> ProbedStudy:
    return made_study(np.random.default_rng(1), lung_hu=-800, around_hu=40)


@pytest.fixture(scope="module")
def shown(study: ProbedStudy) -> dict[Probe, PreparedStudy]:
    looker = Looker()
    probes = [probe for probe, _ in probe_study(study, looker, SETTINGS)]
    return dict(zip(probes, looker.seen, strict=True))


class TestWhatIsShown:
    def test_every_probe_once(self, shown: dict[Probe, PreparedStudy]) -> None:
        assert list(shown) == list(Probe)

    def test_lungs_black_leaves_the_rim(self, study: ProbedStudy, shown) -> None:
        service = prepare(study.axial, study.lungs, RECIPE)
        rim = dilate(LUNGS, RECIPE.mask_margin_px)[0] & ~LUNGS[0]
        for index, image in shown[Probe.LUNGS_BLACK].images.items():
            assert not image[LUNGS[0]].any()
            assert (image[rim] == service.images[index][rim]).all()
            assert rim.any()
            assert not image[~rim].any()

    def test_background_only_is_all_but_the_lungs(self, shown) -> None:
        for image in shown[Probe.BACKGROUND_ONLY].images.values():
            assert not image[LUNGS[0]].any()
            assert (image[~LUNGS[0]] > 200).all()

    def test_lungs_only_has_no_rim(self, study: ProbedStudy, shown) -> None:
        service = prepare(study.axial, study.lungs, RECIPE)
        for index, image in shown[Probe.LUNGS_ONLY].images.items():
            assert not image[~LUNGS[0]].any()
            assert (image[LUNGS[0]] == service.images[index][LUNGS[0]]).all()

    def test_the_silhouette_is_one_grey(self, shown) -> None:
        seen = dilate(LUNGS, RECIPE.mask_margin_px)[0]
        for image in shown[Probe.SILHOUETTE].images.values():
            assert len(np.unique(image[seen])) == 1
            assert image[seen].all()
            assert not image[~seen].any()

    def test_views_keep_slices_and_groups_of_service(self, study: ProbedStudy, shown) -> None:
        service = prepare(study.axial, study.lungs, RECIPE)
        for probe in (Probe.LUNGS_BLACK, Probe.BACKGROUND_ONLY, Probe.SILHOUETTE, Probe.LUNGS_ONLY):
            assert shown[probe].groups == service.groups
            assert shown[probe].images.keys() == service.images.keys()

    def test_z_flipped_is_the_study_upside_down(self, study: ProbedStudy, shown) -> None:
        service, flipped = prepare(study.axial, study.lungs, RECIPE), shown[Probe.Z_FLIPPED]
        last = len(study.axial.hu) - 1
        for index, image in flipped.images.items():
            assert (image == service.images[last - index]).all()

    def test_hu_moves_the_greys_by_the_windows_share(self, study: ProbedStudy, shown) -> None:
        service = prepare(study.axial, study.lungs, RECIPE)
        step = SETTINGS.window_shift_hu / RECIPE.window_width_hu * 255
        for probe, sign in ((Probe.HU_LOWER, -1), (Probe.HU_HIGHER, 1)):
            moved = shown[probe].images[3][LUNGS[0]].astype(float)
            before = service.images[3][LUNGS[0]].astype(float)
            assert (moved - before).mean() == pytest.approx(sign * step, abs=0.6)

    def test_twice_as_thick_is_half_as_many_averaged(self, study: ProbedStudy, shown) -> None:
        service, thick = prepare(study.axial, study.lungs, RECIPE), shown[Probe.TWICE_AS_THICK]
        assert len(thick.slices) == len(study.axial.hu) // 2
        gaps = np.diff([record.position_mm for record in thick.slices])
        assert gaps == pytest.approx(2 * study.axial.geometry.spacing_mm[0])
        pair = (service.images[4].astype(float) + service.images[5]) / 2
        assert np.abs(thick.images[2][LUNGS[0]] - pair[LUNGS[0]]).max() <= 2  # equalised, rounded


def test_a_study_too_short_to_be_thickened_says_so() -> None:
    study = made_study(np.random.default_rng(1), lung_hu=-800, around_hu=40)
    hu = study.axial.hu[:10]
    from dataclasses import replace  # noqa: PLC0415

    axial = replace(study.axial, hu=hu, geometry=replace(study.axial.geometry, shape=(10, 48, 48)))
    found = dict(probe_study(replace(study, axial=axial, lungs=study.lungs[:10]), HONEST, SETTINGS))
    ended = StudyEnd(Outcome.TOO_FEW_SLICES, "5 slices are left, 8 are needed")
    assert found[Probe.TWICE_AS_THICK] == ended
    assert isinstance(found[Probe.Z_FLIPPED], Verdict)


def over_studies(studies, judge) -> dict[str, Predictions]:
    truth, given = [], []
    for label, study in studies:
        answers = {"as-in-service": judge(prepare(study.axial, study.lungs, study.recipe))}
        answers |= dict(probe_study(study, judge, SETTINGS))
        truth.append(LABELS.index(label))
        given.append(answers)
    return {
        name: Predictions(
            LABELS,
            np.array(truth),
            np.array([LABELS.index(answers[name].label) for answers in given]),
            np.array([[answers[name].probabilities[x] for x in LABELS] for answers in given]),
        )
        for name in given[0]
    }


def findings_of(by_probe: dict[str, Predictions]):
    return {name: probe_finding(name, one, len(one.truth)) for name, one in by_probe.items()}


class TestVerdictOnModels:
    """With studies whose background differs by source: only the model that reads it is caught."""

    def test_an_honest_model_is_cleared_even_where_the_background_tells(self) -> None:
        studies = sourced_studies(np.random.default_rng(3), 24)
        findings = findings_of(over_studies(studies, HONEST))
        assert findings["as-in-service"].areas["ill"].value == 1.0
        assert not findings[Probe.LUNGS_BLACK].knows
        assert not findings[Probe.BACKGROUND_ONLY].knows
        found = source_verdict(findings)
        assert not found.learnt_source
        assert "nothing shows that it has learnt the source" in found.words

    def test_a_model_that_reads_the_background_is_caught_in_plain_words(self) -> None:
        studies = sourced_studies(np.random.default_rng(3), 24)
        findings = findings_of(over_studies(studies, CHEAT))
        # Seen in service alone it looks as good as the honest one.
        assert findings["as-in-service"].areas["ill"].value == 1.0
        assert findings[Probe.LUNGS_BLACK].knows
        assert findings[Probe.BACKGROUND_ONLY].knows
        assert not findings[Probe.SILHOUETTE].knows
        assert not findings[Probe.LUNGS_ONLY].knows
        found = source_verdict(findings)
        assert found.learnt_source
        assert "WITH THE LUNGS REMOVED IT STILL TELLS THE CLASSES APART" in found.words
        assert "learnt the source" in found.words

    def test_where_the_background_says_nothing_neither_is_caught(self) -> None:
        studies = honest_studies(np.random.default_rng(4), 24)
        for model in (HONEST, CHEAT):
            assert not source_verdict(findings_of(over_studies(studies, model))).learnt_source

    def test_what_only_the_hidden_background_tells_is_said_to_be_hidden_in_service(self) -> None:
        # Bright only beyond the rim, where the recipe lets nobody look.
        rng = np.random.default_rng(5)
        studies = []
        for label, study in honest_studies(rng, 24):
            hu = study.axial.hu.copy()
            hu[:, :4, :] = 300 if label == "ill" else -200
            from groundglass.core.volume import Volume  # noqa: PLC0415

            studies.append(
                (label, ProbedStudy(Volume(hu, study.axial.geometry), LUNGS, RECIPE, group_slices))
            )
        model = MeanReader(inside=False, threshold=230.0)
        findings = findings_of(over_studies(studies, model))
        assert not findings[Probe.LUNGS_BLACK].knows
        found = source_verdict(findings)
        assert found.learnt_source
        assert "service hides" in found.words


class TestSlices:
    """The same for single slices, as an encoder alone sees them."""

    @staticmethod
    def made(seed: int):
        rng = np.random.default_rng(seed)
        truth = np.arange(60) % 2
        images = np.where(LUNGS[:1], np.where(truth == 0, 120, 80)[:, None, None],
                          np.where(truth == 0, 200, 240)[:, None, None])  # fmt: skip
        noisy = np.clip(images + rng.normal(0, 6, images.shape), 1, 255).astype(np.uint8)
        return noisy, np.broadcast_to(LUNGS[0], noisy.shape), truth

    def findings(self, model: MeanReader):
        images, lungs, truth = self.made(1)
        found = probe_slices(images, lungs, model.slices, 4)
        return {
            name: probe_finding(
                name, Predictions(LABELS, truth, given.argmax(axis=1), given), len(truth)
            )
            for name, given in found.items()
        }

    def test_the_two_are_told_apart(self) -> None:
        honest = self.findings(MeanReader(inside=True, threshold=100.0))
        cheat = self.findings(MeanReader(inside=False, threshold=220.0, sign=-1.0))
        assert honest["as-in-service"].areas["ill"].value == 1.0
        assert cheat["as-in-service"].areas["ill"].value == 1.0
        assert not source_verdict(honest).learnt_source
        assert source_verdict(cheat).learnt_source

    def test_views(self) -> None:
        images, lungs, _ = self.made(2)
        shown = {}

        def keep(seen):
            shown[len(shown)] = seen
            return np.full((len(seen), 2), 0.5)

        probe_slices(images, lungs, keep, None)
        service, black, background, outline, only = shown.values()
        assert (service == images).all()
        assert (black == background).all()
        assert ((background > 0) == ~lungs).all()
        assert (outline == 128).all()
        assert (only == images * lungs).all()


def test_a_shift_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError):
        ProbeSettings(window_shift_hu=0.0)
