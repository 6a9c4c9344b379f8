"""Where disease is and how dense: the pattern tells the kind, density alone does not."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.phantom import PhantomSettings
from groundglass.phantom.anatomy import draw_anatomy
from groundglass.phantom.disease import Findings, Site, draw_findings
from groundglass.phantom.settings import stream
from groundglass.phantom.vessels import sample_lung

_PEOPLE = 60


@pytest.fixture(scope="module")
def sites() -> list[Site]:
    people = [draw_anatomy(stream(seed, "anatomy")) for seed in range(_PEOPLE)]
    return [
        Site(person, sample_lung(person, 200, stream(seed, "places")))
        for seed, person in enumerate(people)
    ]


def _drawn(label: str, sites: list[Site]) -> list[Findings]:
    return [
        draw_findings(site, PhantomSettings(label, 0.6, seed)) for seed, site in enumerate(sites)
    ]


def _dense_share(findings: Findings) -> float:
    """Of the disease's volume, how much is consolidated where it is densest."""
    lesions = [one for one in findings.lesions if one.disease]
    volumes = np.array([np.prod(one.radii_mm) for one in lesions])
    dense = np.array([one.filling > 0.65 for one in lesions])
    return float(volumes[dense].sum() / volumes.sum())


def test_a_share_of_cp_is_dense_behind_at_both_sides(sites: list[Site]) -> None:
    with_dense, behind = 0, []
    for site, findings in zip(sites, _drawn("CP", sites), strict=True):
        dense = [one for one in findings.lesions if one.filling > 0.65 and min(one.radii_mm) > 1.5]
        dense = [one for one in dense if one.disease]
        if not dense:
            continue
        with_dense += 1
        assert {np.sign(one.centre_mm[0]) for one in dense} == {-1, 1}
        middle = np.concatenate(site.pools)[:, 1].mean()
        behind += [one.centre_mm[1] > middle for one in dense]
    assert 0.2 < with_dense / _PEOPLE < 0.5
    assert np.mean(behind) > 0.9


def test_density_alone_does_not_tell_the_kind(sites: list[Site]) -> None:
    cp, ncp = (
        np.array([_dense_share(one) for one in _drawn(label, sites)]) for label in ("CP", "NCP")
    )
    # What of CP is denser than a third of NCP, and the reverse.
    assert np.mean(cp > np.quantile(ncp, 0.33)) > 0.2
    assert np.mean(ncp < np.quantile(cp, 0.67)) > 0.3
    assert np.median(ncp) > np.median(cp)
