"""Coded concepts of the DICOM results (PS3.16 section 8).

DICOM's and SNOMED CT's codes where they mean what the program means; codes of our own where they
would say more or something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydicom.sr.coding import Code

from groundglass.core.result import KIND_NOT_TOLD as NOT_TOLD
from groundglass.core.result import Verdict
from groundglass.core.verdict_words import calls_findings

if TYPE_CHECKING:  # the codes serve senders of messages too, for whom highdicom is 2 s of importing
    from highdicom.coding_schemes import CodingSchemeIdentificationItem
    from highdicom.sr import CodedConcept

#: Designator of the codes of our own: private designators begin with 99 (PS3.16 section 8.2).
OWN = "99GGLASS"

LUNG = Code("39607008", "SCT", "Lung")
RIGHT = Code("24028007", "SCT", "Right")
LEFT = Code("7771000", "SCT", "Left")
BOTH_SIDES = Code("51440002", "SCT", "Bilateral")
CHEST = Code("51185008", "SCT", "Chest")
ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
CT_CHEST = Code("169069000", "SCT", "CT of chest")
GROUND_GLASS = Code("112120", "DCM", "Ground glass opacity")
CONSOLIDATION = Code("95436008", "SCT", "Pulmonary consolidation")
VOLUME = Code("118565006", "SCT", "Volume")
PROBABILITY = Code("122157", "DCM", "Probability")
SALIENCY = Code("130404", "DCM", "Saliency")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
COMMENT = Code("121106", "DCM", "Comment")
OF_INTEREST = Code("113000", "DCM", "Of Interest")
MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
MILLILITER = Code("ml", "UCUM", "ml")
NO_UNIT = Code("1", "UCUM", "no units")
PERCENT = Code("%", "UCUM", "percent")

VERDICT = Code("verdict", OWN, "Patient-level verdict, research use only")
#: By share of slices the verdict is whether there are findings; of which kind is another question.
FINDINGS = Code("findings", OWN, "Findings as in pneumonia")
NONE_SEEN = Code("none-seen", OWN, "No findings of pneumonia seen")
KIND = Code("kind", OWN, "Kind of pneumonia, research use only")
KIND_NOT_TOLD = Code("kind-not-told", OWN, "Kind not told")
SHARE_OF_SLICES = Code("share-of-slices", OWN, "Share of judged slices with findings")
STUDY_THRESHOLD = Code("study-threshold", OWN, "Share of slices that calls findings")
SLICE_THRESHOLD = Code("slice-threshold", OWN, "Score that counts a slice as ill")
NOT_JUDGED = Code("not-judged", OWN, "Lung in slices that were not judged")
LUNG_NOT_JUDGED = Code("lung-not-judged", OWN, "Share of the lung that was not judged")
OPACITY_NOT_JUDGED = Code("opac-not-judged", OWN, "Share of the opacity that was not judged")
SHARE_OF_LUNG = Code("share-of-lung", OWN, "Share of the lung mask's volume")

#: The paper's classes (section 2.1). "Other pneumonia" has a code of our own: SNOMED's Pneumonia
#: includes COVID-19's, and a low probability under it would deny what the one beside it says.
#: "Healthy" too: DICOM's No Abnormality says more than a network that knows two diseases can.
_CLASSES: Mapping[str, Code] = MappingProxyType(
    {
        "CP": Code("882784691000119100", "SCT", "COVID-19 pneumonia"),
        "NCP": Code("NCP", OWN, "Pneumonia other than COVID-19"),
        "healthy": Code("healthy", OWN, "Healthy, as far as the classes go"),
    }
)


def class_code(label: str) -> Code:
    """The code of a class; a bundle's own labels get codes of our own.

    Parameters
    ----------
    label : str
        A class of the bundle, in letters the study's character set has.
    """
    return _CLASSES.get(label) or Code(label[:16], OWN, label[:64])


def answer_codes(
    verdict: Verdict, encodable: Callable[[str], str] = str
) -> tuple[Code, Code | None]:
    """Whether there are findings, and of which kind: None where no kind was asked for.

    Parameters
    ----------
    encodable : callable
        Makes a label of the bundle fit the study's character set.
    """
    found = verdict.by_share
    if found is None:
        return class_code(encodable(verdict.label)), None
    if not calls_findings(verdict):
        return NONE_SEEN, None
    told = verdict.label != NOT_TOLD
    return FINDINGS, class_code(encodable(verdict.label)) if told else KIND_NOT_TOLD


def own_scheme() -> CodingSchemeIdentificationItem:
    """Who is responsible for codes of our own (PS3.3 C.12.1.1.1)."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem  # noqa: PLC0415

    return CodingSchemeIdentificationItem(
        designator=OWN,
        name="groundglass codes",
        responsible_organization="groundglass developers",
    )


def concept(code: Code) -> CodedConcept:
    """A code as highdicom's own type."""
    from highdicom.sr import CodedConcept  # noqa: PLC0415

    return CodedConcept.from_code(code)
