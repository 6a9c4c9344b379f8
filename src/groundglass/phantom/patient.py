"""Who is scanned: body, scanner, findings and the lungs' trees, drawn but not yet rendered."""

from __future__ import annotations

from dataclasses import dataclass

from groundglass.phantom.anatomy import Anatomy, draw_anatomy
from groundglass.phantom.disease import Findings, Site, draw_findings
from groundglass.phantom.scanner import Scan, draw_scan
from groundglass.phantom.settings import PhantomSettings, stream
from groundglass.phantom.vessels import LungTrees, grow_lungs, sample_lung

#: Places in each lung that vessels grow to and lesions are laid at.
_PLACES = 1200


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """A person, the scan and the findings, from which any slice can be rendered."""

    settings: PhantomSettings
    """What was asked for."""
    person: Anatomy
    """The body."""
    scan: Scan
    """The scanner."""
    findings: Findings
    """Disease and confusers."""
    trees: LungTrees
    """Vessels and bronchi."""


def make_patient(settings: PhantomSettings) -> Patient:
    """Draw person, scan and findings.

    Only the disease looks at the label; everything else comes from streams of the seed alone.
    """
    seed = settings.seed
    person = draw_anatomy(stream(seed, "anatomy"))
    pools = sample_lung(person, _PLACES, stream(seed, "places"))
    findings = draw_findings(Site(person, pools), settings)
    trees = grow_lungs(person, pools, stream(seed, "vessels"))
    return Patient(settings, person, draw_scan(person, settings), findings, trees)
