"""An evaluation as JSON: everything the page shows, for machines.

The document's shape is `evaluation.schema.json` beside this file, explained in
docs/reference/evaluation-json.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import groundglass
from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.evaluate.run.case_prediction import CasePrediction
from groundglass.evaluate.run.evaluation import (
    AtThreshold,
    Compared,
    Evaluation,
    Probed,
)
from groundglass.evaluate.run.findings import ProbeFinding
from groundglass.evaluate.run.subgroups import SubgroupFigures, cases_per_class
from groundglass.evaluate.run.two_answers import AnswerTable, Share, TwoAnswers
from groundglass.evaluate.statistics import (
    Figures,
    Interval,
    ReliabilityBin,
    Row,
    table2,
)
from groundglass.infer import Bundle

#: Grows in the first place when a reader of the old shape would misread the new one.
SCHEMA_VERSION = "2.0"

Json = dict[str, Any]


def evaluation_schema() -> Json:
    """The JSON Schema (draft 2020-12) every document written here keeps."""
    text = files(__package__).joinpath("evaluation.schema.json").read_text("utf-8")
    schema: Json = json.loads(text)
    return schema


def evaluation_document(evaluation: Evaluation, precision: str) -> Json:
    """What goes into `evaluation.json`, but for the list of the report's other files."""
    one, metrics = evaluation, evaluation.figures.metrics
    return {
        "schema_version": SCHEMA_VERSION,
        "research_use_only": RESEARCH_USE_ONLY,
        "groundglass_version": groundglass.__version__,
        "statement": one.bundle.statement,
        "bundle": {**_bundle(one.bundle), "precision": precision},
        "cohort": _cohort(one),
        "leaks": asdict(one.leaks),
        "without_verdict": [
            {"row": case.row, **_of(case.answer, "outcome", "reason")}
            for case in one.without_verdict
        ],
        "two_answers": _two(one.two),
        "answers": _answers(one.answers),
        "classes": list(one.predictions.labels),
        "accuracy_of_all_cases": _share(one.accuracy_of_all),
        "positive": list(one.positive),
        "positive_auc": None if one.positive_auc.value is None else _share(one.positive_auc),
        "figures": _figures(one.figures),
        "table2": [_row(row) for row in table2(metrics, one.figures.intervals)],
        "confusion": metrics.confusion.tolist(),
        "calibration": {
            "bins": [_bin(row) for row in one.calibration],
            "temperature": one.bundle.metadata.calibration.temperature
            if one.bundle.metadata.calibration
            else None,
        },
        "operating_point": _threshold(one.threshold),
        "groups": {
            heading: [_group(group) for group in groups] for heading, groups in one.groups.items()
        },
        "compared": _compared(one.compared),
        "probes": _probed(one.probed),
        "seconds_per_case": _seconds(one.cases),
    }


def encode(document: Json) -> bytes:
    """The document as UTF-8, keys sorted, every number finite (RFC 8259 section 6)."""
    text = json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1)
    return f"{text}\n".encode()


def _bundle(bundle: Bundle) -> Json:
    fields = ("name", "version", "healthy")
    return {
        **_of(bundle, *fields),
        "labels": list(bundle.labels),
        "sha256": dict(bundle.sha256),
    }


def _of(thing: object, *fields: str) -> Json:
    """Some fields, under their own names."""
    return {field: getattr(thing, field) for field in fields}


def _cohort(evaluation: Evaluation) -> Json:
    labels, cases = evaluation.predictions.labels, evaluation.cases
    return {
        **asdict(evaluation.cohort),
        "cases": len(cases),
        "patients": evaluation.patients,
        "cases_with_verdict": evaluation.two.ill + evaluation.two.not_ill,
        "cases_of_known_class_with_verdict": len(evaluation.predictions.truth),
        "cases_per_class": cases_per_class(cases, labels),
        "sources": sorted({one.strata.source for one in cases}),
    }


def _two(two: TwoAnswers) -> Json:
    return {
        **_of(two, "ill", "not_ill"),
        "released": {
            "cases": two.released,
            "ill": two.released_ill,
            "share_ill": _share(two.released_share),
        },
        "sensitivity": _share(two.sensitivity),
        "specificity": _share(two.specificity),
        "auc": _share(two.area),
        "floor": _share(two.floor),
        "without_verdict": [asdict(one) for one in two.unanswered],
    }


def _answers(table: AnswerTable) -> Json:
    return {
        "truths": list(table.truths),
        "answers": list(table.answers),
        "counts": [list(row) for row in table.counts],
    }


def _figures(figures: Figures) -> Json:
    """Every figure by name, with its interval, or why there is none of either."""
    return {
        name: _figure(value, figures.intervals.get(name), why=_why(figures, name, value))
        for name, value in figures.metrics.values().items()
    }


def _why(figures: Figures, name: str, value: float | None) -> str | None:
    if value is not None:
        return figures.without_interval.get(name)
    kind, _, rest = name.partition("/")
    if kind == "class":
        label, _, measure = rest.rpartition("/")
        one = next(one for one in figures.metrics.classes if one.label == label)
        return one.measures.undefined[measure]
    averages = {str(key): average for key, average in figures.metrics.averages.items()}
    return averages[kind].undefined[rest]


def _figure(value: float | None, interval: Interval | None, **more: object) -> Json:
    return {"value": value, **_interval(interval), **more}


def _interval(interval: Interval | None) -> Json:
    if interval is None:
        return dict.fromkeys(("low", "high", "level", "method"))
    return asdict(interval)


def _share(share: Share, **more: object) -> Json:
    return _figure(share.value, share.interval, **more)


def _row(row: Row) -> Json:
    cells = _of(row, "accuracy", "specificity", "sensitivity", "f1")
    return {
        "label": row.label,
        **{n: _figure(cell.value, cell.interval, note=cell.note) for n, cell in cells.items()},
    }


def _bin(row: ReliabilityBin) -> Json:
    return {
        "above": row.low,
        "to": row.high,
        **_of(row, "count", "mean_confidence", "observed"),
        **_interval(row.interval),
    }


def _threshold(threshold: AtThreshold | None) -> Json | None:
    if threshold is None:
        return None
    stored, here = threshold.stored, threshold.here
    return {
        "positive": list(stored.positive),
        "threshold": stored.threshold,
        "where_fitted": {
            "on": stored.fitted_on,
            **_of(stored, "n", "sensitivity", "specificity"),
        },
        "here": {
            **_of(here, "positives", "negatives"),
            "sensitivity": _figure(here.sensitivity, here.sensitivity_interval),
            "specificity": _figure(here.specificity, here.specificity_interval),
        },
    }


def _group(group: SubgroupFigures) -> Json:
    return {
        **_of(group, "name", "cases", "patients", "without_verdict"),
        "cases_per_class": dict(group.classes),
        "two_answers": _two(group.two),
        "accuracy": _share(group.accuracy),
        "positive_auc": _share(group.auc),
    }


def _compared(compared: Compared | None) -> Json | None:
    if compared is None:
        return None
    mcnemar = compared.tests.mcnemar
    return {
        "bundle": _bundle(compared.bundle),
        "leaks": asdict(compared.leaks),
        "cases": int(compared.first_metrics.confusion.sum()),
        "cases_left_out": compared.left_out,
        "first_two_answers": _two(compared.first_two),
        "second_two_answers": _two(compared.second_two),
        "first_figures": compared.first_metrics.values(),
        "second_figures": _figures(compared.figures),
        "mcnemar": {
            **_of(mcnemar, "only_first", "only_second", "exact_p", "mid_p"),
            "why": mcnemar.undefined,
        },
        "delong": {
            label: {
                **_of(test, "first", "second", "difference", "p"),
                **_interval(test.interval),
                "why": test.undefined,
            }
            for label, test in compared.tests.delong.items()
        },
    }


def _probed(probed: Probed | None) -> Json | None:
    if probed is None:
        return None
    return {
        **asdict(probed.source),
        "findings": [_finding(finding) for finding in probed.findings.values()],
    }


def _finding(finding: ProbeFinding) -> Json:
    fields = ("probe", "words", "cases", "without_verdict", "chance", "same_verdict", "knows")
    return {
        **_of(finding, *fields),
        "accuracy": _share(finding.accuracy, knows=finding.accuracy.knows),
        "areas": {label: _share(area, knows=area.knows) for label, area in finding.areas.items()},
    }


def _seconds(cases: Sequence[CasePrediction]) -> Mapping[str, float]:
    seconds = sorted(one.seconds for one in cases)
    return {"median": seconds[len(seconds) // 2], "longest": seconds[-1]}
