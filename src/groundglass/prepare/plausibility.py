"""Whether a volume can be a chest CT at all, before any network looks at it."""

from __future__ import annotations

import numpy as np

from groundglass.core.volume import Volume

#: Cosine between the slice axis and the patient's long axis under which slices are not axial.
#: 0.9 is 26°: more than any gantry tilts, less than any coronal or sagittal reformat.
_LEAST_AXIAL_COSINE = 0.9
#: Least share of voxels that must look like lung or air, and like soft tissue, in a chest CT. In
#: whole-torso scans of large patients the lungs still fill several percent.
_LEAST_AIR_SHARE, _LEAST_TISSUE_SHARE = 0.02, 0.02
_AIR_BELOW_HU, _TISSUE_HU = -500, (-200, 300)
#: Every so many rows and columns, and so many slices, are enough to count shares.
_STRIDE, _SLICES = 4, 64


def why_not_chest_ct(volume: Volume) -> str | None:
    """Say why a volume cannot be an axial chest CT in HU, or None."""
    cosine = abs(volume.geometry.directions[0][2])
    if cosine < _LEAST_AXIAL_COSINE:
        return (
            f"the slices run {np.degrees(np.arccos(cosine)):.0f}° off the patient's long axis; "
            "axial slices are expected"
        )
    every = max(1, len(volume.hu) // _SLICES)
    sample = volume.hu[::every, ::_STRIDE, ::_STRIDE]
    air = float(np.mean(sample < _AIR_BELOW_HU))
    tissue = float(np.mean((sample > _TISSUE_HU[0]) & (sample < _TISSUE_HU[1])))
    if air < _LEAST_AIR_SHARE:
        return f"only {air:.1%} of the voxels are air or lung (below {_AIR_BELOW_HU} HU)"
    if tissue < _LEAST_TISSUE_SHARE:
        low, high = _TISSUE_HU
        return f"only {tissue:.1%} of the voxels are soft tissue ({low} to {high} HU)"
    return None
