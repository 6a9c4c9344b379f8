"""Every experiment's file is read, takes two steps in every stage, and ends in a bundle."""

from __future__ import annotations

import runpy
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("lightning", reason="needs groundglass[train]")

from groundglass.cohort import Cohort
from groundglass.errors import InputError, ReadError, SettingsError
from groundglass.infer import Bundle, Classifier, CpuEngine, Precision
from groundglass.infer.bundle_metadata import ShareRule
from groundglass.infer.self_test import refuse_other_answers, run_self_test
from groundglass.phantom import LABELS
from groundglass.prepare import Recipe, whole_groups
from groundglass.settings.toml import explanations
from groundglass.train.classifier.encoder_stage import train_encoder
from groundglass.train.classifier.sequence_stage import train_sequence
from groundglass.train.data.tensors import to_tensor
from groundglass.train.export.bundle import make_bundle, make_slice_bundle
from groundglass.train.run import SEQUENCE_FOLDER, TrainingRun
from groundglass.train.segmenter.stage import train_segmenter
from groundglass.train.settings import Experiment, read_experiment
from made_training import SIZE, make_cohort, make_run, tiny

DOCS = Path(__file__).parents[2] / "docs"
FILES = sorted((DOCS.parent / "experiments").glob("*.toml"))


def shortened(experiment: Experiment) -> Experiment:
    """The experiment with everything it says, but for how much: two steps on small images."""
    recipe = replace(experiment.recipe, image_size=SIZE, group_size=6, min_lung_ml=1.0)
    few = {"epochs": 1, "batch": 2, "init_from": ""}
    drawn = replace(experiment.segmenter.draw, slices=min(4, experiment.segmenter.draw.slices))
    return replace(
        experiment,
        true_lungs=True,
        recipe=recipe,
        # The shipped segmenter takes images of one size, so a small one is trained.
        segmenter=replace(experiment.segmenter, **few, bundle="", phantom_slices=1, draw=drawn),
        encoder=replace(experiment.encoder, **few, slices_per_patient=1, validation_slices=1),
        sequence=replace(experiment.sequence, **few, variants=min(1, experiment.sequence.variants)),
    )


def _bundle_of(run: TrainingRun) -> Bundle:
    """What `groundglass train all` does after the segmenter."""
    encoder = train_encoder(run)
    if run.experiment.share_rule is not None:
        return make_slice_bundle(run, encoder)
    return make_bundle(run, train_sequence(run, encoder.prepared), encoder.prepared)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_two_steps_of_every_stage_end_in_a_bundle_that_runs(
    path: Path, tiny_cohort: Cohort, tmp_path: Path
) -> None:
    experiment = shortened(read_experiment(path))
    labels = experiment.labels or LABELS
    cohort = tiny_cohort if labels == LABELS else make_cohort(tmp_path, labels=labels)
    run = make_run(cohort, experiment, tmp_path / "run")
    assert train_segmenter(run).path.exists()
    made = _bundle_of(run)
    assert made.labels == labels
    assert made.training["metrics"]["parity"]["f32"]["largest_difference"] <= 1e-4
    engine = CpuEngine(Precision.F32)
    refuse_other_answers(made, run_self_test(made, engine), Precision.F32)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_header_says_how_where_how_long_and_what_to_expect(path: Path) -> None:
    header = path.read_text().split("\n\n")[0]
    for word in ("Command", "Hardware", "Runtime", "Expected"):
        assert f"# {word}" in path.read_text().split("\n[")[0], word
    assert header.startswith("#")


def test_paper_holds_every_figure_the_paper_gives() -> None:
    paper = read_experiment(FILES[0].parent / "paper.toml")
    recipe, segmenter = paper.recipe, paper.segmenter
    assert (recipe.image_size, recipe.group_size, recipe.vote_threshold) == (256, 50, 0.9)
    assert (recipe.headward_ratio, recipe.feetward_ratio) == (0.4, 0.9)
    assert (segmenter.epochs, segmenter.learning_rate, segmenter.validation_share) == (
        30, 2e-5, 0.1,
    )  # fmt: skip
    assert (paper.encoder.epochs, paper.encoder.patience, paper.encoder.learning_rate) == (
        100, 25, 1e-4,
    )  # fmt: skip
    assert paper.encoder.slices_per_patient == 0
    assert (paper.sequence.epochs, paper.sequence.patience) == (200, 25)
    assert paper.sequence.learning_rate == paper.encoder.learning_rate
    for stage in (paper.segmenter, paper.encoder, paper.sequence):
        assert set(stage.augment.kinds) == {"rotate", "flip", "blur", "brighten"}
        assert (stage.augment.at_once, stage.augment.probability) == (1, 1.0)
    assert paper.network.encoder_convolutions == 1
    assert len(paper.network.encoder_widths) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epoch": 3}, "unknown key 'epoch'"),
        ({"encoder": {"epochs": "3"}}, "encoder.epochs"),
        ({"encoder": {"epochs": True}}, "encoder.epochs"),
        ({"encoder": {"augment": {"kinds": ["tilt"]}}}, "kinds"),
        ({"encoder": {"augment": {"scale": [1.2, 0.8]}}}, "scale"),
        ({"encoder": {"monitor": "luck"}}, "encoder.monitor"),
        ({"encoder": {"patience": -1}}, "patience"),
        ({"segmenter": {"monitor": "auc"}}, "monitor"),
        ({"network": {"segmenter_fold": 3}}, "segmenter_fold"),
        ({"network": {"segmenter_widths": [6, 8]}}, "segmenter_widths"),
        ({"segmenter": {"bundle": ""}, "network": {"segmenter_fold": 6}}, "segmenter_fold"),
        ({"encoder": {"batch": 5}, "devices": 2}, "batch"),
        ({"encoder": {"lesion_layer": 9}}, "lesion_layer"),
        ({"recipe": {"image_sise": 3}}, "image_sise"),
        ({"labels": ["CP", "NCP"]}, "labels"),
        ({"labels": ["CP", "ill", "healthy"], "ill": "ill"}, "ill"),
        ({"share_rule": {"study_threshold": 0}}, "study_threshold"),
        ({"share_rule": {"kind_threshold": 0.4}}, "kind_threshold"),
        ({"network": 3}, "network"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        tiny(**changes)


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no experiment"):
        read_experiment(tmp_path / "missing.toml")
    (tmp_path / "broken.toml").write_text("[encoder\n")
    with pytest.raises(ReadError, match="TOML"):
        read_experiment(tmp_path / "broken.toml")


def test_the_reference_page_is_the_code() -> None:
    made = runpy.run_path(str(DOCS / "reference" / "make_experiments.py"))
    page = DOCS / "reference" / "experiments.md"
    assert page.read_text("utf-8") == made["experiments_page"](), (
        "an experiment or a setting changed: run python docs/reference/make_experiments.py"
    )


def test_every_setting_is_described() -> None:
    """A field without a docstring would be a riddle."""

    def check(kind: type) -> None:
        for field in fields(kind):
            bases = [base for base in kind.__mro__ if is_dataclass(base)]
            words = [explanations(base).get(field.name, "a value") for base in bases]
            # The page of settings has Recipe's, and is not made without.
            assert kind is Recipe or set(words) != {"a value"}, f"{kind.__name__}.{field.name}"
            value = getattr(tiny(), field.name, None)
            if is_dataclass(value):
                check(type(value))

    check(Experiment)


def test_a_run_with_four_classes_needs_no_code(tmp_path: Path) -> None:
    labels = ("CP", "viral", "bacterial", "healthy")
    few = {"epochs": 1, "batch": 2}
    experiment = tiny(
        labels=list(labels),
        segmenter=few | {"bundle": "", "phantom_slices": 1},
        encoder=few,
        sequence=few,
    )
    run = make_run(make_cohort(tmp_path, each=1, labels=labels), experiment, tmp_path / "run")
    train_segmenter(run)
    prepared = train_encoder(run).prepared
    made = make_bundle(run, train_sequence(run, prepared), prepared)
    assert made.labels == labels
    assert [one["stage"] for one in made.training["data"]] == [
        "slice encoder",
        "sequence head",
    ]
    hashes = made.metadata.training_hashes
    assert hashes is not None
    assert len(hashes.patients) == 8  # one of each class to train on, one to validate on
    point = made.metadata.operating_point
    assert point is not None
    assert point.positive == ("CP", "viral", "bacterial")


def test_slices_are_judged_by_the_layer_that_trained_the_encoder(tmp_path: Path) -> None:
    rule = {
        "slice_threshold": 0.4,
        "study_threshold": 0.2,
        "slope": 9.0,
        "fitted_on": "made",
        "n": 3,
    }
    few = {"epochs": 1, "batch": 2}
    cohort = make_cohort(tmp_path, each=1, labels=(*LABELS, "ill"))
    experiment = tiny(
        labels=list(LABELS),
        ill="ill",
        share_rule=rule,
        segmenter=few | {"bundle": "", "phantom_slices": 1},
        encoder=few,
    )
    run = make_run(cohort, experiment, tmp_path / "run")
    train_segmenter(run)
    encoder = train_encoder(run)
    made = make_slice_bundle(run, encoder)
    assert not (run.out / SEQUENCE_FOLDER).exists()
    assert made.labels == LABELS
    assert made.metadata.share_rule == ShareRule(0.4, 0.2, 9.0, None, "made", 3)
    assert {one["stage"] for one in made.training["data"]} == {"slice encoder"}
    trained = [
        one["patients"]["train"] for one in made.training["data"] if "train" in one["patients"]
    ]
    assert trained == [dict.fromkeys(sorted((*LABELS, "ill")), 1)]
    case = encoder.prepared.cases[0]
    (group, *_) = whole_groups(range(case.slices), made.recipe.group_size)
    images = case.images()[list(group.slice_indices)]
    found = Classifier(made, CpuEngine(Precision.F32))(group, images).prediction.of_slices
    with torch.no_grad():
        expected = torch.softmax(encoder.net(to_tensor(images)), dim=1).numpy()
    assert len(found) == len(images) > 1
    for row, right in zip(found, expected, strict=True):
        assert [row[label] for label in LABELS] == pytest.approx(right.tolist(), abs=1e-4)


def test_the_ill_of_unknown_kind_are_a_label_only_where_the_experiment_says_so(
    tmp_path: Path,
) -> None:
    cohort = make_cohort(tmp_path, each=1, labels=(*LABELS, "ill"))
    with pytest.raises(InputError, match="'ill'"):
        train_encoder(make_run(cohort, tiny(labels=list(LABELS)), tmp_path / "run"))
