"""What ships tells slices in which a reader marked lesions from those without, on real volumes.

MedSeg's volumes are held out whole of what the scorer that ships learnt from (the U-Net that finds
the lungs had learnt from them). The whole program judges three of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")

from groundglass.analyse.triage import Triage
from groundglass.evaluate.statistics import auc
from groundglass.infer import Precision
from groundglass.train.verdict.whole_volumes import whole_volumes

#: Patients, mild and severe; of them LEAST_JUDGED slices are judged at least.
VOLUMES = ("medseg-2", "medseg-7", "medseg-8")
LEAST_JUDGED = 60
#: Share of a slice's lung from which marks make it ill; between 0 and this nobody knows.
LEAST_LESION = 0.005
#: Area under the ROC curve of the slice's score, a margin of 0.10 below what bundle 0.5.0 reached
#: on 30 November 2026: 0.902 on 82 slices, 48 of them marked.
LEAST_AUC = 0.80


def test_marked_slices_score_higher_than_unmarked_ones(shared_data: Path) -> None:
    triage = Triage.load(precision=Precision.F32)
    scores, ill = [], []
    for one in whole_volumes(shared_data):
        if one.name not in VOLUMES:
            continue
        with np.load(shared_data / "lung-volumes" / f"{one.name}.npz") as file:
            lesion, lung = file["lesion"] > 0, (file["lung"] > 0) | (file["lesion"] > 0)
        for record in triage(one.volume).slices:
            share = lesion[record.index].sum() / max(1, lung[record.index].sum())
            if record.score is not None and not 0 < share < LEAST_LESION:
                scores.append(record.score)
                ill.append(share > 0)
    assert len(scores) >= LEAST_JUDGED
    found = auc(np.array(scores), np.array(ill))
    assert found is not None
    assert found >= LEAST_AUC
