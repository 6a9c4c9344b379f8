"""Every setting of training: what an experiment's file holds, and its reading."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from groundglass.errors import ReadError, SettingsError
from groundglass.prepare import Recipe
from groundglass.settings.toml import read_settings, settings

Share = Annotated[float, Field(ge=0, le=1)]
#: A share that leaves something.
PartShare = Annotated[float, Field(ge=0, lt=1)]
Range = tuple[PositiveFloat, PositiveFloat]
Channels = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
Change = Literal["flip", "rotate", "move", "blur", "brighten", "contrast", "noise"]
Optimiser = Literal["adam", "adamw"]
LearningRates = Literal["constant", "one-cycle", "cosine"]

_CORRECT = "Correct the experiment's file; docs/reference/experiments.md lists every setting."


def _check(ok: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001
    if not ok:
        raise SettingsError(
            f"{name} = {value!r}", expected=expected, action="Correct the experiment's file."
        )


@settings
class AugmentSettings:
    """Random changes of 8-bit slices (paper sections 2.2.1 and 2.3.1).

    The paper names rotating, flipping, blurring and brightening, "in a random range with a
    randomly selected augmentation type"; the ranges are our choice.
    """

    kinds: tuple[Change, ...] = ("flip", "move", "blur", "brighten", "noise")
    """Of flip (left and right), rotate, move (rotate, scale and shift at once), blur, brighten,
    contrast (a bent grey scale), noise."""
    at_once: NonNegativeInt = 1
    """How many kinds a step draws; paper: 1. 0: every kind, each with `probability`."""
    probability: Share = 0.83
    """Of changing anything in a step (with `at_once` 0: of each kind)."""
    rotate_degrees: float = 15.0
    """Largest angle, either way."""
    scale: Range = (0.85, 1.15)
    """Smallest and largest factor."""
    shift: float = 0.06
    """Largest shift either way, as a share of the image's side."""
    blur_sigma_px: Range = (0.3, 1.2)
    """Smallest and largest width of the Gaussian."""
    gain: Range = (0.85, 1.15)
    """Smallest and largest factor on grey values."""
    offset: float = 15.0
    """Largest grey value added or taken away."""
    gamma: Range = (0.7, 1.4)
    """Smallest and largest exponent of the grey scale."""
    noise: Range = (2.0, 12.0)
    """Smallest and largest standard deviation in grey values."""

    def __post_init__(self) -> None:
        _check(self.at_once <= len(self.kinds), "at_once", self.at_once, "0 to all kinds")
        for name in ("scale", "blur_sigma_px", "gain", "gamma", "noise"):
            low, high = getattr(self, name)
            _check(low <= high, name, [low, high], "two numbers above 0, the smaller first")


@settings
class NetworkSettings:
    """Sizes of the three networks; the paper's figures give none of them, so all are our choice."""

    segmenter_widths: Channels = (32, 48, 64, 96)
    """Channels per level of the U-Net, from the finest."""
    segmenter_fold: Annotated[int, Field(ge=2, multiple_of=2)] = 4
    """The slice is folded this many pixels square into channels before the U-Net's first level, and
    its logits unfolded after the last."""
    encoder_widths: Channels = (16, 32, 64, 128)
    """Channels per layer; paper: four layers."""
    encoder_fold: PositiveInt = 1
    """The slice is folded this many pixels square into channels before the first layer, which makes
    it so much cheaper and loses nothing; 1: as the paper."""
    encoder_pools: tuple[int, ...] = (1, 2, 3)
    """Layers, from 0, before which a 2×2 maximum halves the maps."""
    encoder_convolutions: PositiveInt = 1
    """Convolutions per layer before its global maximum; paper: 1."""
    encoder_norm: bool = False
    """Batch normalisation after each convolution; paper: none is named."""
    encoder_dropout: PartShare = 0.0
    """Share of features dropped before the softmax that trains the encoder."""
    sequence_units: PositiveInt = 32
    """LSTM units per direction."""
    sequence_width: PositiveInt = 64
    """Width of the dense layer."""
    sequence_dropout: PartShare = 0.5
    """Share dropped before and after the dense layer."""

    def __post_init__(self) -> None:
        widths = self.segmenter_widths
        _check(widths[0] % 4 == 0, "segmenter_widths", widths, "four, or a multiple, at first")


@settings
class StageSettings:
    """What the three stages have in common."""

    epochs: PositiveInt
    """At most this many."""
    patience: NonNegativeInt = 25
    """Epochs without a better validation before the stage stops, and the best one's weights are
    kept; paper: 25. 0: it never stops and the last epoch's are kept, for a schedule that ends near
    0, whose last epochs are better than a noisy validation can tell."""
    monitor: Literal["loss", "auc"] = "loss"
    """What "better" means: "loss", or "auc" (mean over the classes, per patient)."""
    learning_rate: PositiveFloat = 1e-4
    """Of the optimiser. With a schedule, the largest rate."""
    weight_decay: NonNegativeFloat = 0.0
    """Of the optimiser."""
    optimiser: Optimiser = "adam"
    """"adam" (our choice for the paper, which names none) or "adamw"."""
    schedule: LearningRates = "constant"
    """"constant"; "one-cycle" (a third of the steps up, then down as a cosine); "cosine" (a tenth
    up, then down). Over `epochs`, so an early stop cuts it short."""
    batch: PositiveInt = 16
    """Items per step, over all devices."""
    balance: Literal["none", "weights", "sampling"] = "none"
    """Against unequal classes: "none", "weights" (in the loss) or "sampling" (as many items of each
    class in every epoch)."""
    label_smoothing: PartShare = 0.0
    """Probability given to the other classes."""
    gradient_clip: NonNegativeFloat = 0.0
    """Largest norm of a step's gradient, longer ones are shortened to it; 0: none."""
    init_from: str = ""
    """Checkpoint of the same stage whose weights begin; "" for random ones. Trained for another
    number of classes, its classifier is made anew."""
    loader_processes: NonNegativeInt = 0
    """Processes that read and augment beside each device; 0 does it in the training process."""


@settings
class DrawSettings:
    """How slices are drawn for an epoch of the lung U-Net.

    Shares of forms that are not there fall to the others.
    """

    slices: NonNegativeInt = 0
    """How many; 0 takes every real slice once, and of phantoms `phantom_share`."""
    volumes: PositiveFloat = 0.55
    """Share of whole volumes that are marked on every slice, each as often as another."""
    equalised: PositiveFloat = 0.17
    """Share of equalised single slices with lesions."""
    singles: PositiveFloat = 0.18
    """Share of other single slices."""
    phantoms: PositiveFloat = 0.10
    """Share of phantoms."""
    apex_weight: PositiveFloat = 1.6
    """How often a slice near the apex is drawn of a volume, where one of the middle is drawn
    once."""
    base_weight: PositiveFloat = 2.2
    """Likewise near the base: diaphragm, liver and stomach are what is mistaken for lung."""
    outside_weight: PositiveFloat = 0.35
    """Likewise far from lung."""


@settings
class SegmenterSettings(StageSettings):
    """The lung U-Net (paper section 2.2.1)."""

    epochs: PositiveInt = 240
    patience: NonNegativeInt = 0
    learning_rate: PositiveFloat = 2e-3
    weight_decay: NonNegativeFloat = 1e-2
    optimiser: Optimiser = "adamw"
    schedule: LearningRates = "cosine"
    batch: PositiveInt = 8
    bundle: str = ""
    """Take the segmenter of this bundle (a name or a folder) and train none; "" trains one."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Part of the annotated patients held out where the cohort has no validation split; paper:
    10 %."""
    phantom_share: PartShare = 0.4
    """Part of each epoch drawn from the cohort's phantoms beside all real slices. Ours."""
    phantom_slices: PositiveInt = 5
    """Slices, from neck to abdomen, made of each phantom."""
    in_hu: bool = True
    """Augment in HU: made consolidations, field of view, noise and scale of the scanner. Else as
    `augment` says, on what the U-Net sees."""
    ill_share: Share = 0.5
    """Share of the slices that are given made disease, where `in_hu` and no real lesion was laid
    in: enough to keep consolidation in the lung, not so much that the dome of the liver and a full
    stomach look like it."""
    lesion_share: Share = 0.0
    """Share of the slices into which lesions of other slices are laid at the pleura, where `in_hu`:
    mostly dense ones, mostly towards the back. Needs slices with a `lesion_mask`."""
    dome_share: Share = 0.0
    """Share of the real slices into which a dome of soft tissue or fat rises that is not lung,
    where `in_hu`."""
    upside_down_share: Share = 0.0
    """Share of the slices that are turned upside down, where `in_hu`."""
    bent_share: Share = 0.0
    """Share of the slices whose grey scale is bent, as by another window, where `in_hu`."""
    equalised_share: Share = 0.0
    """Share of the slices that are equalised tile by tile, where `in_hu`."""
    init_bundle: str = ""
    """Begin with the segmenter of this bundle (a name or a folder), whose batch normalisation was
    folded into its weights at export: it stays folded. "" begins with `init_from`, or at random."""
    draw: DrawSettings = DrawSettings()
    """How slices are drawn."""
    augment: AugmentSettings = AugmentSettings()
    """Random changes."""

    def __post_init__(self) -> None:
        _check(self.monitor == "loss", "monitor", self.monitor, "'loss' for the segmenter")
        one_start = not (self.init_from and self.init_bundle)
        _check(one_start, "init_bundle", self.init_bundle, "'' where `init_from` is given")
        _check(self.balance == "none", "balance", self.balance, "'none' for the segmenter")


@settings
class EncoderSettings(StageSettings):
    """The CNN on slices, each with its patient's label (paper section 2.3.1)."""

    epochs: PositiveInt = 8
    learning_rate: PositiveFloat = 1e-3
    schedule: LearningRates = "one-cycle"
    slices_per_patient: NonNegativeInt = 12
    """Slices drawn from each patient in an epoch; 0 takes all, as the paper does."""
    validation_slices: NonNegativeInt = 12
    """Slices of each patient, evenly spaced, that validation looks at; 0 takes all."""
    lesion_weight: NonNegativeFloat = 0.0
    """Weight of an auxiliary loss: a 1×1 convolution on one layer's maps learns to mark lesions
    where their masks are known. 0: none. Dropped at export."""
    lesion_layer: NonNegativeInt = 2
    """Which layer's maps, from 0."""
    augment: AugmentSettings = AugmentSettings()
    """Random changes."""


@settings
class SequenceSettings(StageSettings):
    """The biLSTM on groups, encoder frozen (paper section 2.3.2)."""

    epochs: PositiveInt = 200
    learning_rate: PositiveFloat = 5e-4
    weight_decay: NonNegativeFloat = 1e-2
    optimiser: Optimiser = "adamw"
    batch: PositiveInt = 32
    label_smoothing: PartShare = 0.05
    variants: NonNegativeInt = 2
    """Augmented copies of each training group whose features are kept beside the group's own; all
    slices of a copy are changed alike, as one patient on one scanner is."""
    augment: AugmentSettings = AugmentSettings()
    """Random changes."""


@settings
class ShareSettings:
    """How the verdict is made of single slices, and on what its thresholds were set.

    Thresholds that stand here are taken as they are; `python -m groundglass.train.verdict.fit` sets
    those of a trained bundle on whole volumes that its scorer has not seen.
    """

    slice_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """A slice is ill from this score (one less its probability of healthy) on."""
    study_threshold: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Findings are called from this share of ill slices on."""
    slope: PositiveFloat = 20.0
    """The probability of findings is 1 / (1 + exp(−slope · (share − `study_threshold`)))."""
    kind_threshold: Annotated[float, Field(ge=0.5, le=1)] | None = None
    """The kind is told from this part of the findings on; left out: never."""
    fitted_on: str = "nothing: defaults"
    """Which studies set the thresholds."""
    n: NonNegativeInt = 0
    """How many."""


@settings
class BundleSettings:
    """What the bundle says about itself."""

    name: str = ""
    """What it is called; empty: as the experiment."""
    version: str = "0.1.0"
    """Its version."""
    statement: str = (
        "The networks of this bundle were trained with groundglass on the cohort named in the "
        "bundle. How they do on other patients and scanners is not known until it is measured."
    )
    """What it was trained on and what that means for a verdict; shown in every output."""
    limits: tuple[str, ...] = ()
    """What it has not been shown to do."""
    sensitivity: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Share of validation patients with pneumonia that the operating point must find."""


@settings
class Experiment:
    """One experiment, whole."""

    name: str
    """What it is called."""
    labels: tuple[str, ...] = ()
    """Classes in the networks' order; empty: those of the cohort, sorted."""
    healthy: str = "healthy"
    """The class that means no pneumonia."""
    ill: str = ""
    """What cases are labelled that are ill, nobody knows with which of the classes: they teach to
    tell ill from healthy, and nothing about the kind. "": there are none."""
    seed: NonNegativeInt = 20210607
    """Of everything random."""
    deterministic: bool = True
    """Refuse operations whose result differs from run to run."""
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    """"32", or "bf16-mixed" or "16-mixed" where the hardware has it."""
    devices: PositiveInt = 1
    """GPUs, or processes on a CPU; the paper trained on 4 GPUs."""
    strategy: Literal["auto", "ddp_spawn"] = "auto"
    """"auto": one process for one device, else "ddp_spawn" (gloo on CPUs, NCCL on GPUs)."""
    true_lungs: bool = False
    """Prepare phantoms with their true lungs instead of the segmenter's. Not what service does."""
    recipe: Recipe = Recipe()
    """How to prepare; goes into the bundle."""
    network: NetworkSettings = NetworkSettings()
    """Sizes of the networks."""
    segmenter: SegmenterSettings = SegmenterSettings()
    """Stage one."""
    encoder: EncoderSettings = EncoderSettings()
    """Stage two."""
    sequence: SequenceSettings = SequenceSettings()
    """Stage three."""
    share_rule: ShareSettings | None = None
    """Judge each slice by itself and a study by its share of ill slices: there is no stage three.
    Left out: by the groups, as the paper does."""
    bundle: BundleSettings = BundleSettings()
    """What the bundle says about itself."""

    def __post_init__(self) -> None:
        _check(len(set(self.labels)) == len(self.labels), "labels", self.labels, "each class once")
        fine = not self.labels or (self.healthy in self.labels and len(self.labels) >= 2)
        _check(fine, "labels", self.labels, f"two or more classes, {self.healthy!r} among them")
        _check(self.ill not in self.labels, "ill", self.ill, "none of the classes")
        layer, layers = self.encoder.lesion_layer, len(self.network.encoder_widths)
        _check(layer < layers, "lesion_layer", layer, f"a layer of the encoder, 0 to {layers - 1}")
        network, size = self.network, self.recipe.image_size
        coarsest = network.segmenter_fold * 2 ** (len(network.segmenter_widths) - 1)
        fine = bool(self.segmenter.bundle) or size % coarsest == 0
        _check(fine, "segmenter_fold", network.segmenter_fold,
               f"a cell of the U-Net's coarsest level, here {coarsest} pixels wide, to fit into "
               f"image_size = {size} without rest")  # fmt: skip
        for stage in (self.segmenter, self.encoder, self.sequence):
            _check(stage.batch % self.devices == 0, "batch", stage.batch, "a multiple of `devices`")


def read_experiment(path: Path) -> Experiment:
    """Read and check an experiment.

    Parameters
    ----------
    path : Path
        A TOML file; `name` may be left out and is then the file's.

    Raises
    ------
    ReadError
        No such file, or no TOML.
    SettingsError
        An unknown key, a value of the wrong type, or one that makes no sense.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(
            f"no experiment that can be read at {path}",
            expected="a TOML file",
            action="Give one of the files in experiments/, or one of yours.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ReadError(
            f"{path.name}, which is no TOML ({error})", expected="a TOML file", action=_CORRECT
        ) from error
    return read_settings(Experiment, {"name": path.stem, **values}, path.parent, _CORRECT)
