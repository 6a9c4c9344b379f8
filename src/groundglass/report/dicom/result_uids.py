"""UIDs of the DICOM results: the same input analysed at the same time gives the same.

A UID promises that whatever carries it is the same object (PS3.5 section 9). So everything that
decides an object's content goes into its UID, the time of the analysis with the rest.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pydicom.uid import (
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from groundglass.core.analysis import Analysis
from groundglass.core.result import TriageResult
from groundglass.read.dicom import result_series_descriptions as descriptions

#: Never changes: every UID ever given hangs on it.
_NAMESPACE = uuid.UUID("6b1f7d0e-9c53-5a1b-8d44-3c0d5e1f7a92")


class ResultKind(StrEnum):
    """The DICOM objects written for a study, each kind in a series of its own."""

    REPORT = "structured-report"
    SEGMENTATION = "segmentation"
    SALIENCY = "saliency"
    CAPTURE = "capture"
    KEY_OBJECTS = "key-objects"


class Filing(NamedTuple):
    """How the objects of a kind are filed."""

    sop_class_uid: str
    modality: str
    series_number: int
    series_description: str


#: Series Numbers are high, so that results come after the scanner's own series.
FILING: Mapping[ResultKind, Filing] = {
    ResultKind.CAPTURE: Filing(SecondaryCaptureImageStorage, "OT", 9701, descriptions.CAPTURES),
    ResultKind.REPORT: Filing(Comprehensive3DSRStorage, "SR", 9702, descriptions.MEASUREMENTS),
    ResultKind.SEGMENTATION: Filing(SegmentationStorage, "SEG", 9703, descriptions.LUNGS),
    ResultKind.SALIENCY: Filing(ParametricMapStorage, "OT", 9704, descriptions.HEAT_MAP),
    ResultKind.KEY_OBJECTS: Filing(
        KeyObjectSelectionDocumentStorage, "KO", 9705, descriptions.KEY_SLICES
    ),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Where the UIDs of one analysis come from."""

    digest: str
    """SHA-256 of everything that decides the content."""

    @classmethod
    def of_result(cls, images: Sequence[tuple[str, int | None]], result: TriageResult) -> Identity:
        """The identity of what one version of the program with one bundle says of some images.

        The program's version, the bundle's files and recipe, the number format, what the heat
        explains, and everything that tells this analysis from another are in it, as each may
        change the content. Versions of libraries are not: they and
        the processor may change the last digits of a probability.

        Parameters
        ----------
        images : sequence of (str, int or None)
            SOP Instance UID and frame number of every image that was judged, in any order.
        """
        made = result.provenance
        facts = {
            "explained": [result.explained_label, sorted({h.method for h in result.heatmaps})],
            "program": made.groundglass_version,
            "bundle": dict(made.bundle_sha256),
            "recipe": dict(made.recipe),
            "precision": made.precision,
            "analysis": result.analysis.facts,
        }
        return cls(_digest(images, facts))

    @classmethod
    def of_refusal(
        cls, images: Sequence[tuple[str, int | None]], program: str, reason: str, analysis: Analysis
    ) -> Identity:
        """The identity of a statement that a study could not be analysed, and why.

        Parameters
        ----------
        images : sequence of (str, int or None)
            SOP Instance UID and frame number of every image received.
        program : str
            Version of the program.
        """
        facts = {"program": program, "reason": reason, "analysis": analysis.facts}
        return cls(_digest(images, facts))

    def uid(self, what: str) -> str:
        """A UID of form 2.25 (PS3.5 B.2) for one thing of this analysis."""
        return f"2.25.{uuid.uuid5(_NAMESPACE, f'{self.digest} {what}').int}"

    def series_uid(self, kind: ResultKind) -> str:
        """Series Instance UID of a kind of object."""
        return self.uid(f"{kind} series")

    def instance_uid(self, kind: ResultKind, number: int = 1) -> str:
        """SOP Instance UID of the n-th object of a kind, from 1."""
        return self.uid(f"{kind} {number}")


def device_uid(program: str) -> str:
    """The UID of this version of the program as an observer (PS3.16 TID 1004)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'device {program}').int}"


def _digest(images: Sequence[tuple[str, int | None]], facts: object) -> str:
    ordered = sorted((uid, number or 0) for uid, number in images)
    text = json.dumps([ordered, facts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
