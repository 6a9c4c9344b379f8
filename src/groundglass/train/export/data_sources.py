"""What a bundle says of the data behind its weights: sources, licences, whom, how many."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groundglass.cohort import patient_hash
from groundglass.cohort.importers import DATASETS
from groundglass.infer import load_bundle
from groundglass.train.classifier.predictions import HELD_OUT
from groundglass.train.data.cache import PreparedCohort
from groundglass.train.data.training_cases import (
    ENCODER_STAGE,
    SEQUENCE_STAGE,
    TrainingCase,
    read_training_cases,
    training_case,
)
from groundglass.train.fit.callbacks import TABLE, read_table
from groundglass.train.fit.fitting import started_with
from groundglass.train.run import SEGMENTER_FOLDER, SEQUENCE_FOLDER, TrainingRun, classifier_stages


def classifier_data(run: TrainingRun, prepared: PreparedCohort) -> list[dict[str, Any]]:
    """Per stage, source and form: licence, citation, patients per split and class.

    Whom the stages have seen stands in their folders; those of the cohort that it is tested on
    stand beside.
    """
    tested = prepared.of_split("test")
    return tabulate(
        [
            *_learnt_from(run),
            *(training_case(case, ENCODER_STAGE) for case in tested),
            *(
                training_case(case, SEQUENCE_STAGE)
                for case in tested
                if case.is_volume and SEQUENCE_FOLDER in classifier_stages(run)
            ),
        ]
    )


def _learnt_from(run: TrainingRun) -> list[TrainingCase]:
    """Whom encoder and sequence head were fitted or chosen on."""
    return [row for one in classifier_stages(run) for row in read_training_cases(run.out / one)]


def tabulate(rows: Sequence[TrainingCase]) -> list[dict[str, Any]]:
    """Rows as they stand in a manifest, patients counted once per split and class."""
    stages = list(dict.fromkeys(row.stage for row in rows))
    patients: dict[tuple[str, str, str], dict[str, dict[str, set[str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(set))
    )
    for row in rows:
        patients[row.stage, row.source, row.form][row.split][row.label].add(row.patient)
    return [
        {
            "stage": stage,
            "source": source,
            "form": form,
            **_origin(source),
            "patients": {
                split: {label: len(who) for label, who in sorted(of_split.items())}
                for split, of_split in sorted(patients[stage, source, form].items())
            },
        }
        for stage, source, form in sorted(
            patients, key=lambda key: (stages.index(key[0]), *key[1:])
        )
    ]


def training_hashes(run: TrainingRun) -> dict[str, Any]:
    """Whom the classifier has seen; the salt follows from them, so that a rebuild is the same."""
    rows = _learnt_from(run)
    studies = sorted({row.fingerprint for row in rows})
    salt = hashlib.sha256("".join([run.experiment.name, *studies]).encode()).hexdigest()[:32]
    return {
        "salt": salt,
        "patients": sorted({patient_hash(row.patient, salt) for row in rows}),
        "studies": studies,
    }


def segmenter_facts(run: TrainingRun) -> dict[str, Any]:
    """Data, settings, figures and time of the lung U-Net: of the run it is from, or its lender."""
    if run.segmenter_run is None:
        bundle = load_bundle(run.experiment.segmenter.bundle)
        theirs: dict[str, Any] = dict(bundle.training.get("segmenter") or {})
        return theirs | {"taken_from": f"{bundle.name} {bundle.version}"}
    folder = run.segmenter_run / SEGMENTER_FOLDER
    begun = started_with(folder)
    facts: dict[str, Any] = {
        "data": tabulate(read_training_cases(folder)),
        "cohort_sha256": begun["cohort"],
        "settings": begun["stage"] | {"seed": begun["seed"]},
        "wall_time_s": round(_seconds(folder)),
    }
    began_with = begun["stage"]["init_bundle"]
    if began_with:
        bundle = load_bundle(began_with)
        facts["began_with"] = {"bundle": f"{bundle.name} {bundle.version}"} | dict(
            bundle.training.get("segmenter") or {}
        )
    if (folder / HELD_OUT).exists():
        dice = json.loads((folder / HELD_OUT).read_text(encoding="utf-8"))
        facts["metrics"] = {"lung masks, mean Dice per slice": dice}
    return facts


def stage_seconds(run: TrainingRun, stages: Sequence[str]) -> float:
    """Training time of some of a run's stages."""
    return sum(_seconds(run.out / stage) for stage in stages)


def _seconds(folder: Path) -> float:
    """Training time of a stage, as its table has it."""
    return sum(float(row["seconds"]) for row in read_table(folder / TABLE))


#: Sets that train single slices and have no importer: licence, citation.
_SLICE_SETS = {
    "luna16": (
        "CC BY 3.0",
        "Setio AAA, Traverso A, de Bel T, et al. Validation, comparison, and combination of "
        "algorithms for automatic detection of pulmonary nodules in CT images: the LUNA16 "
        "challenge. Medical Image Analysis 2017;42:1-13. One axial slice a patient",
    ),
    "luna-volumes": ("CC BY 3.0", "LUNA16, as above: three whole volumes"),
    "medseg": (
        "CC BY-NC-SA 3.0",
        "MedSeg COVID-19 CT segmentation dataset, set 2 (cases of Radiopaedia). medicalsegmentation"
        ".com/covid19",
    ),
    "covid-19-ct-seg": (
        "masks CC BY 4.0, images CC BY-NC-SA",
        "Ma J, Ge C, Wang Y, et al. COVID-19 CT Lung and Infection Segmentation Dataset. Zenodo "
        "2020. doi:10.5281/zenodo.3757476",
    ),
}


def _origin(source: str) -> dict[str, str]:
    if source == "phantom":
        return {
            "licence": "Apache-2.0",
            "citation": "synthetic patients drawn by groundglass; nobody's data",
        }
    if source in _SLICE_SETS:
        licence, citation = _SLICE_SETS[source]
        return {"licence": licence, "citation": citation}
    known = DATASETS.get(source)
    if known is None:
        return {"licence": "as its owner states", "citation": "a cohort of the user's own"}
    return {"licence": known.licence, "citation": known.citation}
