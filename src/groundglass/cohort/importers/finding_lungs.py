"""Kaggle "Finding and Measuring Lungs in CT Data": images and volumes with lung masks."""

from __future__ import annotations

from pathlib import Path

from groundglass.cohort.importers.dataset import (
    Dataset,
    Entry,
    Listing,
    another_layout,
    files_in,
    left_out,
)

_SPLITS = {"": "", "train": "train", "val": "validation", "validation": "validation",
           "test": "test"}  # fmt: skip
#: (images, masks), as downloaded and as in extracts.
_PAIRS = (("2d_images", "2d_masks"), ("images", "masks"))
_MASKS = (".tif", ".tiff", ".png")


def _read(folder: Path) -> Listing:
    entries: list[Entry] = []
    lonely = 0
    for part, split in _SPLITS.items():
        root = folder / part
        for images, masks in _PAIRS:
            for image in files_in(root / images, ".tif", ".tiff"):
                candidates = [root / masks / f"{image.stem}{suffix}" for suffix in _MASKS]
                mask = next((path for path in candidates if path.exists()), None)
                lonely += mask is None
                if mask is not None:
                    entries.append(_entry("_".join(image.stem.split("_")[:2]), image, mask, split))
        for volume in files_in(root / "3d_images", ".nii.gz", ".nii"):
            if volume.name.startswith("IMG_"):
                mask = volume.with_name(volume.name.replace("IMG_", "MASK_", 1))
                lonely += not mask.exists()
                if mask.exists():
                    name = volume.name.removesuffix(".gz").removesuffix(".nii")
                    entries.append(_entry(name, volume, mask, split))
    if not entries:
        raise another_layout("no images with masks", "2d_images/, 2d_masks/ and 3d_images/")
    return Listing(entries, left_out(lonely, "images left out: they have no mask."))


def _entry(patient: str, study: Path, mask: Path, split: str) -> Entry:
    return Entry(patient, study, "unlabelled", split, extra={"mask": str(mask)})


FINDING_LUNGS = Dataset(
    name="finding-lungs",
    title="Finding and Measuring Lungs in CT Data (Kaggle)",
    url="https://www.kaggle.com/datasets/kmader/finding-lungs-in-ct-data",
    licence="not stated in what could be read: research only",
    citation="Mader KS. Finding and Measuring Lungs in CT Data. Kaggle, 2017",
    labels={"(none)": "unlabelled"},
    layout="2d_images/ID_0000_Z_0142.tif, 2d_masks/ID_0000_Z_0142.tif, 3d_images/IMG_0002.nii.gz, "
    "3d_images/MASK_0002.nii.gz; or train/, val/, test/ with images/ and masks/",
    read=_read,
)
