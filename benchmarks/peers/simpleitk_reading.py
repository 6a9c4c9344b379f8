"""SimpleITK (GDCM) reading a series into a volume."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Options, Prepared


def prepare(options: Options) -> Prepared:
    """Options: `folder` of one series."""
    import SimpleITK as sitk  # noqa: N813, PLC0415

    def work() -> Any:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(options["folder"]))
        return sitk.GetArrayFromImage(reader.Execute())

    version = sitk.Version_VersionString()
    return Prepared(f"SimpleITK {version}", work)
