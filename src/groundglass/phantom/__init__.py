"""A synthetic chest CT: a seeded person, scanner and disease, as a volume and as DICOM."""

from groundglass.phantom.dicom_series import write_dicom_series
from groundglass.phantom.patient import Patient, make_patient
from groundglass.phantom.render import Slices, render_slices
from groundglass.phantom.settings import LABELS, PhantomSettings
from groundglass.phantom.thorax import Phantom, make_phantom, training_slices

__all__ = [
    "LABELS",
    "Patient",
    "Phantom",
    "PhantomSettings",
    "Slices",
    "make_patient",
    "make_phantom",
    "render_slices",
    "training_slices",
    "write_dicom_series",
]
