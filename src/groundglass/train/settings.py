"""Every setting of training: what an experiment's file holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from groundglass.errors import SettingsError
from groundglass.prepare import Recipe

#: Changes that augmentation knows; `groundglass.train.data.augment` makes them.
CHANGES = ("flip", "rotate", "move", "blur", "brighten", "contrast", "noise")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentSettings:
    """Random changes of 8-bit slices (paper sections 2.2.1 and 2.3.1).

    The paper names rotating, flipping, blurring and brightening, "in a random range with a
    randomly selected augmentation type"; the ranges are our choice.

    Parameters
    ----------
    kinds : tuple of str
        Of `CHANGES`: flip (left and right), rotate, move (rotate, scale and shift at once), blur,
        brighten, contrast (a bent grey scale), noise.
    at_once : int
        How many kinds a step draws; paper: 1. 0: every kind, each with `probability`.
    probability : float
        Of changing anything in a step (with `at_once` 0: of each kind).
    rotate_degrees : float
        Largest angle, either way.
    scale : tuple of float
        Smallest and largest factor.
    shift : float
        Largest shift either way, as a share of the image's side.
    blur_sigma_px : tuple of float
        Smallest and largest width of the Gaussian.
    gain : tuple of float
        Smallest and largest factor on grey values.
    offset : float
        Largest grey value added or taken away.
    gamma : tuple of float
        Smallest and largest exponent of the grey scale.
    noise : tuple of float
        Smallest and largest standard deviation in grey values.
    """

    kinds: tuple[str, ...] = ("flip", "move", "blur", "brighten", "noise")
    at_once: int = 1
    probability: float = 0.83
    rotate_degrees: float = 15.0
    scale: tuple[float, float] = (0.85, 1.15)
    shift: float = 0.06
    blur_sigma_px: tuple[float, float] = (0.3, 1.2)
    gain: tuple[float, float] = (0.85, 1.15)
    offset: float = 15.0
    gamma: tuple[float, float] = (0.7, 1.4)
    noise: tuple[float, float] = (2.0, 12.0)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(CHANGES))
        _check(not unknown, "kinds", unknown, f"some of {', '.join(CHANGES)}")
        _check(0 <= self.probability <= 1, "probability", self.probability, "0 to 1")
        _check(0 <= self.at_once <= len(self.kinds), "at_once", self.at_once, "0 to all kinds")
        for name in ("scale", "blur_sigma_px", "gain", "gamma", "noise"):
            low, high = getattr(self, name)
            _check(0 < low <= high, name, [low, high], "two numbers above 0, the smaller first")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Sizes of the three networks; the paper's figures give none of them, so all are our choice.

    Parameters
    ----------
    segmenter_widths : tuple of int
        Channels per level of the U-Net, from the finest.
    segmenter_fold : int
        The slice is folded this many pixels square into channels before the U-Net's first level,
        and its logits unfolded after the last.
    encoder_widths : tuple of int
        Channels per layer; paper: four layers.
    encoder_fold : int
        The slice is folded this many pixels square into channels before the first layer, which
        makes it so much cheaper and loses nothing; 1: as the paper.
    encoder_pools : tuple of int
        Layers, from 0, before which a 2×2 maximum halves the maps.
    encoder_convolutions : int
        Convolutions per layer before its global maximum; paper: 1.
    encoder_norm : bool
        Batch normalisation after each convolution; paper: none is named.
    encoder_dropout : float
        Share of features dropped before the softmax that trains the encoder.
    sequence_units, sequence_width : int
        LSTM units per direction; width of the dense layer.
    sequence_dropout : float
        Share dropped before and after the dense layer.
    """

    segmenter_widths: tuple[int, ...] = (32, 48, 64, 96)
    segmenter_fold: int = 4
    encoder_widths: tuple[int, ...] = (16, 32, 64, 128)
    encoder_fold: int = 1
    encoder_pools: tuple[int, ...] = (1, 2, 3)
    encoder_convolutions: int = 1
    encoder_norm: bool = False
    encoder_dropout: float = 0.0
    sequence_units: int = 32
    sequence_width: int = 64
    sequence_dropout: float = 0.5

    def __post_init__(self) -> None:
        fold = self.segmenter_fold
        _check(fold >= 2 and fold % 2 == 0, "segmenter_fold", fold, "an even number")
        for name in ("segmenter_widths", "encoder_widths"):
            widths = getattr(self, name)
            _check(bool(widths) and min(widths) >= 1, name, widths, "channels of at least 1")
        widths = self.segmenter_widths
        _check(widths[0] % 4 == 0, "segmenter_widths", widths, "four, or a multiple, at first")
        for name in ("encoder_fold", "encoder_convolutions", "sequence_units", "sequence_width"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("encoder_dropout", "sequence_dropout"):
            _check(0 <= getattr(self, name) < 1, name, getattr(self, name), "0 to under 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """What the three stages have in common.

    Parameters
    ----------
    epochs : int
        At most this many.
    patience : int
        Epochs without a better validation before the stage stops, and the best one's weights are
        kept; paper: 25. 0: it never stops and the last epoch's are kept, for a schedule that ends
        near 0, whose last epochs are better than a noisy validation can tell.
    monitor : str
        What "better" means: "loss", or "auc" (mean over the classes, per patient).
    learning_rate, weight_decay : float
        Of the optimiser. With a schedule, the largest rate.
    optimiser : str
        "adam" (our choice for the paper, which names none) or "adamw".
    schedule : str
        "constant"; "one-cycle" (a third of the steps up, then down as a cosine); "cosine" (a
        tenth up, then down). Over `epochs`, so an early stop cuts it short.
    batch : int
        Items per step, over all devices.
    balance : str
        Against unequal classes: "none", "weights" (in the loss) or "sampling" (as many items of
        each class in every epoch).
    label_smoothing : float
        Probability given to the other classes.
    init_from : str
        Checkpoint of the same stage whose weights begin; "" for random ones. Trained for another
        number of classes, its classifier is made anew.
    loader_processes : int
        Processes that read and augment beside each device; 0 does it in the training process.
    """

    epochs: int
    patience: int = 25
    monitor: Literal["loss", "auc"] = "loss"
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    optimiser: Literal["adam", "adamw"] = "adam"
    schedule: Literal["constant", "one-cycle", "cosine"] = "constant"
    batch: int = 16
    balance: Literal["none", "weights", "sampling"] = "none"
    label_smoothing: float = 0.0
    init_from: str = ""
    loader_processes: int = 0

    def __post_init__(self) -> None:
        _check(self.patience >= 0, "patience", self.patience, "0 or more")
        for name in ("epochs", "batch"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _check(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _check(self.loader_processes >= 0, "loader_processes", self.loader_processes, "0 or more")
        smooth = self.label_smoothing
        _check(0 <= smooth < 1, "label_smoothing", smooth, "0 to under 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterSettings(StageSettings):
    """The lung U-Net (paper section 2.2.1).

    Parameters
    ----------
    bundle : str
        Take the segmenter of this bundle (a name or a folder) and train none; "" trains one.
    validation_share : float
        Part of the annotated patients held out where the cohort has no validation split;
        paper: 10 %.
    phantom_share : float
        Part of each epoch drawn from the cohort's phantoms beside all real slices. Ours.
    phantom_slices : int
        Slices, from neck to abdomen, made of each phantom.
    in_hu : bool
        Augment in HU: made consolidations, field of view, noise and scale of the scanner. Else as
        `augment` says, on what the U-Net sees.
    ill_share : float
        Share of the slices that are given made disease, where `in_hu`: enough to keep consolidation
        in the lung, not so much that the dome of the liver and a full stomach look like it.
    augment : AugmentSettings
        Random changes.
    """

    epochs: int = 240
    patience: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    optimiser: Literal["adam", "adamw"] = "adamw"
    schedule: Literal["constant", "one-cycle", "cosine"] = "cosine"
    batch: int = 8
    bundle: str = ""
    validation_share: float = 0.1
    phantom_share: float = 0.4
    phantom_slices: int = 5
    in_hu: bool = True
    ill_share: float = 0.5
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        StageSettings.__post_init__(self)
        _check(self.monitor == "loss", "monitor", self.monitor, "'loss' for the segmenter")
        _check(self.balance == "none", "balance", self.balance, "'none' for the segmenter")
        share = self.validation_share
        _check(0 < share < 1, "validation_share", share, "between 0 and 1")
        _check(0 <= self.phantom_share < 1, "phantom_share", self.phantom_share, "0 to under 1")
        _check(0 <= self.ill_share <= 1, "ill_share", self.ill_share, "0 to 1")
        _check(self.phantom_slices >= 1, "phantom_slices", self.phantom_slices, "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings(StageSettings):
    """The CNN on slices, each with its patient's label (paper section 2.3.1).

    Parameters
    ----------
    slices_per_patient : int
        Slices drawn from each patient in an epoch; 0 takes all, as the paper does.
    validation_slices : int
        Slices of each patient, evenly spaced, that validation looks at; 0 takes all.
    lesion_weight : float
        Weight of an auxiliary loss: a 1×1 convolution on one layer's maps learns to mark lesions
        where their masks are known. 0: none. Dropped at export.
    lesion_layer : int
        Which layer's maps, from 0.
    augment : AugmentSettings
        Random changes.
    """

    epochs: int = 8
    learning_rate: float = 1e-3
    schedule: Literal["constant", "one-cycle", "cosine"] = "one-cycle"
    slices_per_patient: int = 12
    validation_slices: int = 12
    lesion_weight: float = 0.0
    lesion_layer: int = 2
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        StageSettings.__post_init__(self)
        for name in ("slices_per_patient", "validation_slices", "lesion_weight", "lesion_layer"):
            _check(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceSettings(StageSettings):
    """The biLSTM on groups, encoder frozen (paper section 2.3.2).

    Parameters
    ----------
    variants : int
        Augmented copies of each training group whose features are kept beside the group's own; all
        slices of a copy are changed alike, as one patient on one scanner is.
    augment : AugmentSettings
        Random changes.
    """

    epochs: int = 200
    learning_rate: float = 5e-4
    weight_decay: float = 1e-2
    optimiser: Literal["adam", "adamw"] = "adamw"
    batch: int = 32
    label_smoothing: float = 0.05
    variants: int = 2
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        StageSettings.__post_init__(self)
        _check(self.variants >= 0, "variants", self.variants, "0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSettings:
    """What the bundle says about itself.

    Parameters
    ----------
    name : str
        What it is called; empty: as the experiment.
    version : str
        Its version.
    statement : str
        What it was trained on and what that means for a verdict; shown in every output.
    limits : tuple of str
        What it has not been shown to do.
    sensitivity : float
        Share of validation patients with pneumonia that the operating point must find.
    """

    name: str = ""
    version: str = "0.1.0"
    statement: str = (
        "The networks of this bundle were trained with groundglass on the cohort named in the "
        "bundle. How they do on other patients and scanners is not known until it is measured."
    )
    limits: tuple[str, ...] = ()
    sensitivity: float = 0.95

    def __post_init__(self) -> None:
        _check(0 < self.sensitivity <= 1, "sensitivity", self.sensitivity, "above 0, at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment, whole.

    Parameters
    ----------
    name : str
        What it is called.
    labels : tuple of str
        Classes in the networks' order; empty: those of the cohort, sorted.
    healthy : str
        The class that means no pneumonia.
    seed : int
        Of everything random.
    deterministic : bool
        Refuse operations whose result differs from run to run.
    precision : str
        "32", or "bf16-mixed" or "16-mixed" where the hardware has it.
    devices : int
        GPUs, or processes on a CPU; the paper trained on 4 GPUs.
    strategy : str
        "auto": one process for one device, else "ddp_spawn" (gloo on CPUs, NCCL on GPUs).
    true_lungs : bool
        Prepare phantoms with their true lungs instead of the segmenter's. Not what service does.
    recipe : Recipe
        How to prepare; goes into the bundle.
    network, segmenter, encoder, sequence, bundle
        The parts.
    """

    name: str
    labels: tuple[str, ...] = ()
    healthy: str = "healthy"
    seed: int = 20210607
    deterministic: bool = True
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    devices: int = 1
    strategy: Literal["auto", "ddp_spawn"] = "auto"
    true_lungs: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    sequence: SequenceSettings = field(default_factory=SequenceSettings)
    bundle: BundleSettings = field(default_factory=BundleSettings)

    def __post_init__(self) -> None:
        _check(self.devices >= 1, "devices", self.devices, "at least 1")
        _check(self.seed >= 0, "seed", self.seed, "0 or more")
        _check(len(set(self.labels)) == len(self.labels), "labels", self.labels, "each class once")
        fine = not self.labels or (self.healthy in self.labels and len(self.labels) >= 2)
        _check(fine, "labels", self.labels, f"two or more classes, {self.healthy!r} among them")
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


def _check(ok: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001
    if not ok:
        raise SettingsError(
            f"{name} = {value!r}", expected=expected, action="Correct the experiment's file."
        )
