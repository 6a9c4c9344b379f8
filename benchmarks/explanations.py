"""Heat maps against truth: `python -m benchmarks.explanations` prints every table, for any bundle.

Phantom patients the bundle calls right, or whose kind it does not tell, of seeds no training has
seen. The methods are given the same key slices. In f32, whatever the processor offers. Intervals:
95 %, percentile bootstrap over patients, 2000 resamples.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy.stats import spearmanr

import groundglass as gg
from groundglass.analyse.triage import Triage, find_lungs
from groundglass.cohort.phantoms import made_patient
from groundglass.core.result import KIND_NOT_TOLD, HeatMethod
from groundglass.core.volume import Volume
from groundglass.explain import (
    Explained,
    Explainer,
    ExplainSettings,
    ExplanationTarget,
    GroupHeat,
    Head,
    SeenScan,
    head_of,
    opacity_by_slice,
)
from groundglass.explain.consistency import PERTURBATIONS
from groundglass.infer import (
    Bundle,
    Classifier,
    CpuEngine,
    GroupEvidence,
    Precision,
    Segmenter,
    load_bundle,
)
from groundglass.infer.bundle import ENCODER, HEAD, SEGMENTER
from groundglass.phantom import Phantom, make_phantom
from groundglass.prepare import Letterbox, gather, group_slices, prepare, whole_groups

Map = NDArray[np.float32]
Figures = dict[str, list[float]]

#: No training, here or in the experiments, makes patients of these seeds.
FIRST_SEED = 700_000
#: A lesion of fewer pixels of the square (10 mm²) is not there to be found.
LEAST_PIXELS = 10
METHODS = {
    "refined by HU (default)": ExplainSettings(),
    "Grad-CAM, last layer (paper)": ExplainSettings(method=HeatMethod.GRAD_CAM),
    "all layers": ExplainSettings(method=HeatMethod.ALL_LAYERS),
}
DEFAULT, PAPER = list(METHODS)[:2]


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """A bundle's networks with what explains them."""

    bundle: Bundle
    segmenter: Segmenter
    classifier: Classifier
    explainers: Mapping[str, Explainer]

    @classmethod
    def of(cls, bundle: Bundle, head_from: Callable[[Head], Head] = lambda w: w):
        """Load them; `head_from` may replace the head's weights in the gradients."""
        engine = CpuEngine(Precision.F32)
        classifier = Classifier(bundle, engine)
        weights = head_from(head_of(engine.constants(bundle.path(HEAD))))
        explainers = {
            name: Explainer.of(bundle, classifier, weights, settings)
            for name, settings in METHODS.items()
        }
        return cls(bundle, Segmenter(bundle.path(SEGMENTER), engine), classifier, explainers)


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """A prepared patient whose verdict is right, on the networks' square."""

    label: int
    images: dict[int, NDArray[np.uint8]]
    evidence: tuple[GroupEvidence, ...]
    scan: SeenScan
    lung: NDArray[np.bool_]
    lesion: dict[int, NDArray[np.bool_]]

    def target(self, heats: Sequence[GroupHeat]) -> ExplanationTarget:
        """What an explainer is asked."""
        return ExplanationTarget(self.label, heats, self.images, self.scan)

    def explained(self, networks: Networks, method: str) -> Explained:
        """The verdict explained by one of `METHODS`."""
        explainer = networks.explainers[method]
        heats = [explainer.of_group(one) for one in self.evidence]
        return explainer.explain(self.target(heats))


def judged(networks: Networks, volume: Volume) -> tuple[str, dict[str, object]]:
    """Verdict of a volume, and what a `Patient` needs of the way there."""
    axial, _ = volume.to_axial()
    recipe = networks.bundle.recipe
    lungs = find_lungs(axial, networks.segmenter, recipe)
    grouping = whole_groups if networks.classifier.by_slice else group_slices
    prepared = prepare(axial, lungs.square, recipe, grouping)
    evidence = tuple(
        networks.classifier(group, gather(group, prepared.group_images(group)))
        for group in prepared.groups
    )
    verdict = networks.classifier.verdict([one.prediction for one in evidence])
    found = {
        "label": networks.bundle.explainable.index(verdict.label),
        "images": prepared.images,
        "evidence": evidence,
        "scan": SeenScan(axial, lungs.square),
        "lung": lungs.square,
    }
    return verdict.label, found


def patients(networks: Networks, count: int) -> Iterator[Patient]:
    """Made patients called right; of those called wrong a map of the verdict has no truth."""
    seed = found = 0
    while found < count:
        label = ("CP", "NCP")[seed % 2]
        size = networks.bundle.recipe.image_size
        phantom = make_phantom(made_patient(label, FIRST_SEED + seed, size))
        seed += 1
        verdict, parts = judged(networks, phantom.volume)
        if verdict in (label, KIND_NOT_TOLD):
            found += 1
            yield Patient(**parts, lesion=_lesions(phantom, size))  # type: ignore[arg-type]


def _lesions(phantom: Phantom, size: int) -> dict[int, NDArray[np.bool_]]:
    frame = Letterbox.of(phantom.volume.geometry, size)
    return {
        index: frame.forward(image.astype(np.float32), 0) >= 0.5
        for index, image in enumerate(phantom.lesion)
    }


def localisation(networks: Networks, patient: Patient) -> dict[str, dict[str, float]] | None:
    """Figures of each method on one patient, mean over its key slices with a lesion."""
    explained = {name: patient.explained(networks, name) for name in METHODS}
    lesions = {}
    for index in explained[DEFAULT].heat.key:
        seen = _seen(patient.lung[index])
        lesion = patient.lesion[index] & seen
        if lesion.sum() >= LEAST_PIXELS:
            lesions[index] = (lesion, seen)
    if not lesions:
        return None
    maps = {name: _maps(networks, patient, name, list(lesions)) for name in METHODS}
    rng = np.random.default_rng(0)
    shape = patient.lung[0].shape
    maps["lung-shaped blob"] = {
        k: cv2.GaussianBlur(patient.lung[k].astype(np.float32), (0, 0), 8) for k in lesions
    }
    maps["random"] = {k: rng.random(shape, dtype=np.float32) for k in lesions}
    figures = {}
    for name, by_slice in maps.items():
        hottest = max(float(one.max()) for one in by_slice.values()) or 1.0
        rows = [
            _against_truth(by_slice[k] / hottest, *lesions[k], patient.lung[k]) for k in lesions
        ]
        figures[name] = {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}
    for name, one in explained.items():
        if one.consistency is not None:
            figures[name]["consistency"] = one.consistency.mean
    return figures


def _maps(
    networks: Networks, patient: Patient, method: str, slices: Sequence[int]
) -> dict[int, Map]:
    """Maps of given slices at the square's size, whichever slices the method would choose."""
    explainer = networks.explainers[method]
    target = patient.target([explainer.of_group(one) for one in patient.evidence])
    found = explainer.heat_of(target, slices)
    size = patient.images[slices[0]].shape
    return {k: cv2.resize(one, size) for k, one in found.items()}


def _seen(lung: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The lung with the margin that stays visible."""
    return cv2.dilate(lung.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)


def _against_truth(
    heat: Map, lesion: NDArray[np.bool_], seen: NDArray[np.bool_], lung: NDArray[np.bool_]
) -> dict[str, float]:
    total = float(heat.sum())
    drawn = heat >= 0.25
    return {
        "pointing game": float(lesion.ravel()[heat.argmax()]),
        "energy inside lesion": float(heat[lesion].sum()) / total if total else 0.0,
        "AUPRC": average_precision(heat[seen], lesion[seen]),
        "drawn inside lesion": float(lesion[drawn].mean()) if drawn.any() else np.nan,
        "lung drawn over": float(drawn[lung].mean()) if lung.any() else np.nan,
        "heat outside lung": 1 - float(heat[lung].sum()) / total if total else 0.0,
    }


def average_precision(score: Map, truth: NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve as a step function; ties are one step."""
    order = np.argsort(-score, kind="stable")
    hits, ranked = np.cumsum(truth[order]), score[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    recall = hits[ends] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * hits[ends] / (ends + 1)))


def randomised(bundle: Bundle, folder: Path, layers: int) -> Bundle:
    """The bundle with the weights of its last `layers` convolutions shuffled in place."""
    folder.mkdir()
    for file in (ENCODER, HEAD, SEGMENTER):
        (folder / file).write_bytes(bundle.path(file).read_bytes())
    model = onnx.load(str(bundle.path(ENCODER)))
    names = [name for node in model.graph.node if node.op_type == "Conv" for name in node.input[1:]]
    chosen = set(names[len(names) - 2 * layers :])
    rng = np.random.default_rng(layers)
    for tensor in model.graph.initializer:
        if tensor.name in chosen:
            values = numpy_helper.to_array(tensor)
            shuffled = rng.permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(shuffled, tensor.name))
    onnx.save(model, str(folder / ENCODER))
    return replace(bundle, folder=folder)


def shuffled_head(weights: Head) -> Head:
    """Every weight of the head somewhere else in its own array."""
    rng = np.random.default_rng(0)
    arrays = (getattr(weights, field.name) for field in fields(weights))  # type: ignore[arg-type]
    return type(weights)(*(rng.permutation(a.ravel()).reshape(a.shape) for a in arrays))


def randomisation(networks: Networks, subjects: Sequence[Patient], folder: Path) -> list[str]:
    """Rank correlation in the lung with the true map, as weights are shuffled from the top down."""
    convolutions = sum(
        node.op_type == "Conv" for node in onnx.load(str(networks.bundle.path(ENCODER))).graph.node
    )
    rows = []
    for layers in range(convolutions + 1):
        bundle = randomised(networks.bundle, folder / str(layers), layers)
        other = Networks.of(bundle, shuffled_head)
        found: Figures = {name: [] for name in (PAPER, DEFAULT)}
        for patient in subjects:
            slices = list(patient.explained(networks, DEFAULT).heat.key)[:4]
            again = replace(
                patient,
                evidence=tuple(
                    other.classifier(e.prediction.group, _sequence(patient, e))
                    for e in patient.evidence
                ),
            )
            for name, values in found.items():
                true = _maps(networks, patient, name, slices)
                shuffled = _maps(other, again, name, slices)
                values.append(
                    float(
                        np.mean(
                            [
                                _rank_correlation(true[k], shuffled[k], patient.lung[k])
                                for k in slices
                            ]
                        )
                    )
                )
        what = "head" if not layers else f"head and last {layers} convolutions"
        rows.append(f"| {what} | {' | '.join(with_interval(v) for v in found.values())} |")
    return rows


def _sequence(patient: Patient, evidence: GroupEvidence) -> NDArray[np.uint8]:
    group = evidence.prediction.group
    return gather(group, np.stack([patient.images[k] for k in group.slice_indices]))


def _rank_correlation(one: Map, two: Map, where: NDArray[np.bool_]) -> float:
    """0 where a map is flat: it says nothing of the other."""
    if not where.any() or not np.ptp(one[where]) or not np.ptp(two[where]):
        return 0.0
    return float(spearmanr(one[where], two[where])[0])


@dataclass(frozen=True, slots=True)
class Areas:
    """Areas under the curves of one order of one patient's pixels, above the score without any.

    Parameters
    ----------
    deletion, insertion : float
        In logits.
    span : float
        The score with all pixels, above that without any.
    """

    deletion: float
    insertion: float
    span: float


def deletion_insertion(networks: Networks, patient: Patient) -> dict[str, Areas]:
    """Areas under the deletion and the insertion curve of each order of pixels.

    The pixels of the four strongest key slices are taken away, hottest first, or given back; what
    is taken away becomes the median grey of the slice's lung. The score is less that of healthy.
    """
    slices = list(patient.explained(networks, DEFAULT).heat.key)[:4]
    rng = np.random.default_rng(0)
    maps = {name: _maps(networks, patient, name, slices) for name in METHODS}
    maps["lung-shaped blob"] = {
        k: cv2.GaussianBlur(patient.lung[k].astype(np.float32), (0, 0), 8) for k in slices
    }
    maps["random"] = {
        k: cv2.GaussianBlur(rng.random(patient.lung[k].shape, dtype=np.float32), (0, 0), 5)
        for k in slices
    }
    shares = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0])
    found = {}
    for name, heat in maps.items():
        taken = np.array([_score(networks, patient, heat, share, keep=False) for share in shares])
        given = np.array([_score(networks, patient, heat, share, keep=True) for share in shares])
        full, none = taken[0], taken[-1]
        if full - none <= 0.05:
            return {}
        areas = (float(np.trapezoid(curve - none, shares)) for curve in (taken, given))
        found[name] = Areas(*areas, span=float(full - none))
    return found


def of_all_spans(areas: Sequence[float], spans: Sequence[float]) -> str:
    """Areas of all patients beside their spans, with the interval, patients drawn again.

    A mean of each patient's own quotient would be that of the patient whose score hardly rests on
    the slices, whose span is next to nothing.
    """
    over, under = np.asarray(areas), np.asarray(spans)
    drawn = np.random.default_rng(0).integers(0, len(over), (2000, len(over)))
    quotients = over[drawn].sum(axis=1) / under[drawn].sum(axis=1)
    low, high = np.quantile(quotients, [0.025, 0.975])
    return f"{over.sum() / under.sum():.3f} ({low:.3f} to {high:.3f})"


def _score(
    networks: Networks, patient: Patient, heat: dict[int, Map], share: float, *, keep: bool
) -> float:
    images = {k: _part(patient, k, heat[k], share, keep=keep) for k in heat}
    detail = networks.classifier.detail(np.stack(list(images.values())))
    features = dict(zip(images, detail.features, strict=True))
    total = 0.0
    of_logits = networks.explainers[DEFAULT].scores.of_logits[patient.label]
    for evidence in patient.evidence:
        group = evidence.prediction.group
        members = [k for k in group.slice_indices if k in features]
        if members and not group.interpolated:
            sequence = evidence.features.copy()
            sequence[[group.slice_indices.index(k) for k in members]] = [
                features[k] for k in members
            ]
            logits = networks.classifier.logits(sequence)
            total += float((logits @ of_logits).sum())
    return total


def _part(
    patient: Patient, index: int, heat: Map, share: float, *, keep: bool
) -> NDArray[np.uint8]:
    image, lung = patient.images[index], patient.lung[index]
    seen = image > 0
    count = round(share * int(seen.sum()))
    order = np.argsort(-heat[seen], kind="stable")
    hottest = np.zeros(len(order), bool)
    hottest[order[:count]] = True
    values = image[seen]
    grey = np.median(image[lung]) if lung.any() else 0
    values[~hottest if keep else hottest] = grey
    made = image.copy()
    made[seen] = values
    return made


def with_interval(values: Sequence[float]) -> str:
    """Mean with its interval, patients drawn again."""
    data = np.asarray(values, dtype=np.float64)
    data = data[~np.isnan(data)]
    # A mean is a sum beside as many ones.
    return of_all_spans(data.tolist(), [1.0] * len(data)) if len(data) else "none"


def localisation_table(figures: Sequence[dict[str, dict[str, float]]]) -> str:
    """Each method's figures, and the default's advantage over the paper's, patient by patient."""
    keys = list(figures[0][DEFAULT])
    lines = [f"| | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    for name in figures[0]:
        cells = [with_interval([one[name].get(key, np.nan) for one in figures]) for key in keys]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    gain = [
        with_interval([one[DEFAULT][key] - one[PAPER].get(key, np.nan) for one in figures])
        for key in keys
    ]
    return "\n".join([*lines, f"| default − paper, paired | {' | '.join(gain)} |"])


def steadiness(networks: Networks, studies: Sequence[Path]) -> list[str]:
    """Consistency of both methods and heat outside the lung, on real studies."""
    rows = []
    for study in studies:
        volume = gg.read_volume(gg.select_chest_ct(gg.read_study(study)))
        _, parts = judged(networks, volume)
        patient = Patient(**parts, lesion={})  # type: ignore[arg-type]
        for name in (PAPER, DEFAULT):
            found = patient.explained(networks, name).consistency
            values = (
                [found.mean, *found.similarity.values()]
                if found
                else [np.nan] * (len(PERTURBATIONS) + 1)
            )
            rows.append(f"| {study.name} | {name} | {' | '.join(f'{v:.3f}' for v in values)} |")
    return rows


def cost(networks: Networks, slices: int, runs: int) -> list[str]:
    """Processor time of explaining against that of everything else, one made study.

    Processor time, not wall time: it says the same on a busy machine. What each group costs,
    gradients and coarse heat of every class, counts as explaining.
    """
    settings = replace(made_patient("CP", FIRST_SEED, 512), slice_count=slices)
    volume = make_phantom(settings).volume
    rows = []
    for name, explaining in {
        f"{PAPER}, without consistency": replace(METHODS[PAPER], consistency_slices=0),
        f"{DEFAULT}, without consistency": replace(METHODS[DEFAULT], consistency_slices=0),
        f"{DEFAULT}, with consistency": METHODS[DEFAULT],
    }.items():
        triage = Triage(networks.bundle, CpuEngine(Precision.F32), explaining)
        _, parts = judged(networks, volume)
        evidence = Patient(**parts, lesion={}).evidence  # type: ignore[arg-type]
        explainer = networks.explainers[name.rsplit(",", 1)[0]]
        times = [explaining_seconds(triage, explainer, evidence, volume) for _ in range(runs)]
        explain, rest = (median(one) for one in zip(*times, strict=True))
        rows.append(f"| {slices} slices | {name} | {explain * 1000:.0f} | {explain / rest:.1%} |")
    return rows


def explaining_seconds(
    triage: Triage, explainer: Explainer, evidence: Sequence[GroupEvidence], volume: Volume
) -> tuple[float, float]:
    """Processor seconds of explaining a volume, its groups' gradients included, and of the rest."""
    marks: list[tuple[str, float]] = []
    triage(volume, lambda stage: marks.append((stage, process_time())))
    ends = [time for _, time in marks[1:]] + [process_time()]
    stages = {stage: end - begin for (stage, begin), end in zip(marks, ends, strict=True)}
    begin = process_time()
    for one in evidence:
        explainer.of_group(one)
    explaining = stages["explain"] + process_time() - begin
    return explaining, sum(stages.values()) - explaining


def burden_table(count: int) -> list[str]:
    """Measured opacity beside the phantom's true lesions, inside the true lungs."""
    rows = []
    for label in ("CP", "NCP", "healthy"):
        measured, true, difference = [], [], []
        for seed in range(count):
            phantom = make_phantom(made_patient(label, FIRST_SEED + seed, 512))
            ml = phantom.volume.geometry.voxel_ml
            total = opacity_by_slice(phantom.volume, phantom.lung).burden.total
            measured.append(total.ground_glass_share + total.consolidation_share)
            lesion = np.count_nonzero(phantom.lesion & phantom.lung) * ml
            true.append(lesion / total.lung_ml)
            difference.append(measured[-1] - true[-1])
        rows.append(
            f"| {label} | {np.mean(true):.3f} | {with_interval(measured)} "
            f"| {with_interval(difference)} |"
        )
    return rows


def main() -> None:
    """Print each table as it is ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="demonstration")
    parser.add_argument("--patients", type=int, default=36)
    parser.add_argument("--sanity-patients", type=int, default=10)
    parser.add_argument("--burden-patients", type=int, default=5)
    parser.add_argument("--studies", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    networks = Networks.of(load_bundle(given.bundle))
    figures, subjects = [], []
    for patient in patients(networks, given.patients):
        found = localisation(networks, patient)
        if found:
            figures.append(found)
        if len(subjects) < given.sanity_patients:
            subjects.append(patient)
    print(f"## Against the truth, {len(figures)} phantom patients\n")
    print(localisation_table(figures), flush=True)
    print(f"\n## Deletion (low is good) and insertion (high is good), {len(subjects)} patients\n")
    curves = [one for one in (deletion_insertion(networks, p) for p in subjects) if one]
    print(f"| order ({len(curves)} patients) | deletion | insertion |\n|---|---|---|")
    for name in curves[0] if curves else ():
        spans = [one[name].span for one in curves]
        deleted = of_all_spans([one[name].deletion for one in curves], spans)
        inserted = of_all_spans([one[name].insertion for one in curves], spans)
        print(f"| {name} | {deleted} | {inserted} |", flush=True)
    print(f"\n## Rank correlation with the true map, {len(subjects)} patients\n")
    print(f"| weights shuffled | {PAPER} | {DEFAULT} |\n|---|---|---|")
    with TemporaryDirectory() as folder:
        print("\n".join(randomisation(networks, subjects, Path(folder))), flush=True)
    if given.studies:
        print("\n## Consistency on real studies\n")
        print(f"| study | map | mean | {' | '.join(PERTURBATIONS)} |")
        print("|---" * (3 + len(PERTURBATIONS)) + "|")
        print("\n".join(steadiness(networks, given.studies)), flush=True)
    print("\n## Cost at 512×512, processor time, median of 3\n")
    print("| study | map | ms | beside everything else |\n|---|---|---|---|")
    for slices in (100, 30):
        print("\n".join(cost(networks, slices, 3)), flush=True)
    print(f"\n## Opacity burden, {given.burden_patients} patients of each class at 512×512\n")
    print("| class | true share | measured share | measured − true |\n|---|---|---|---|")
    print("\n".join(burden_table(given.burden_patients)))


if __name__ == "__main__":
    main()
