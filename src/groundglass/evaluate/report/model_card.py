"""A bundle's model card, written from the bundle alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from groundglass.cohort import SPLITS
from groundglass.core.result import RESEARCH_USE_ONLY
from groundglass.core.verdict_words import NOT_EXCLUDED, class_name
from groundglass.infer import Bundle
from groundglass.infer.bundle_metadata import BundleMetadata, ShareRule

Lines = list[str]
Kind = TypeVar("Kind", dict[str, Any], list[Any])


def model_card(bundle: Bundle) -> str:
    """The card as Markdown: the same bundle gives the same text.

    Sections without anything to say are said to be missing, not left out: a reader looks for them.
    Follows Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
    """
    training = bundle.training
    segmenter = _of(training, "segmenter", {})
    files = [(f"`{name}`", f"`{value}`") for name, value in sorted(bundle.sha256.items())]
    parts = (
        _head(bundle),
        _verdict(bundle),
        _section("Data", _data([*_of(segmenter, "data", []), *_of(training, "data", [])])),
        _section("Figures", _figures(_of(segmenter, "metrics", {}) | _of(training, "metrics", {}))),
        _section("Calibration and operating point", _fitted(bundle)),
        _section("Limits", [f"- {limit}" for limit in _of(training, "limits", [])]),
        _section("How to rebuild", _rebuild(training)),
        _section("Recipe", _table(("setting", "value"), bundle.recipe.to_dict().items())),
        _section("Files", _table(("file", "SHA-256"), files)),
    )
    return "\n".join(line for part in parts for line in part)


def _of(facts: Mapping[str, Any], key: str, none: Kind) -> Kind:
    """What the manifest says under a key, if it is of the kind expected."""
    found = facts.get(key)
    return found if isinstance(found, type(none)) else none


def _head(bundle: Bundle) -> Lines:
    return [
        f"# {bundle.name} {bundle.version}: model card",
        "",
        f"*Written by `groundglass models card {bundle.name}`. {RESEARCH_USE_ONLY}*",
        "",
        f"> {bundle.statement}",
        "",
    ]


def _verdict(bundle: Bundle) -> Lines:
    classes = ", ".join(
        f"**{label}**" + (f" ({name})" if (name := class_name(label)).lower() != label else "")
        for label in bundle.labels
    )
    rule = bundle.metadata.share_rule
    if rule is not None:
        return _section("What the verdict means", _by_share(bundle, rule, classes))
    return _section(
        "What the verdict means",
        [
            f"One of {classes}, for a patient's whole study: the vote of groups of "
            f"{bundle.recipe.group_size} slices. `{bundle.healthy}` is the class that means no "
            f"pneumonia; a majority for it gives way to a group that names another class with more "
            f"than {bundle.recipe.vote_threshold:g}.",
            "",
            "The probabilities beside it are the mean of the groups' and not the chance that this "
            "person has the disease: that depends on how frequent it is where the person comes "
            "from.",
        ],
    )


def _by_share(bundle: Bundle, rule: ShareRule, classes: str) -> Lines:
    """The share rule in words."""
    if rule.kind_threshold is None:
        kind = "Of which kind is never told."
    else:
        kind = (
            f"Of which kind is told where one has {rule.kind_threshold:.0%} or more of the "
            "findings in the ill slices; else the kind is not told."
        )
    return [
        f"Findings as in pneumonia, or none seen (`{bundle.healthy}`), for a patient's whole "
        f"study: each judged slice counts as ill from a score of {rule.slice_threshold:.3g} on, "
        f"and findings are called where {rule.study_threshold:.1%} or more of the judged slices "
        f"are. Order and groups change nothing. {kind} The thresholds were set on {rule.n} studies "
        f"({rule.fitted_on}).",
        "",
        NOT_EXCLUDED,
        "",
        f"The probabilities of {classes} beside it follow from the share (slope {rule.slope:.3g}) "
        "and are not the chance that this person has the disease: that depends on how frequent it "
        "is where the person comes from.",
    ]


def _section(title: str, lines: Sequence[str]) -> Lines:
    return [f"## {title}", "", *(lines or ["The bundle does not say."]), ""]


def _data(data: Sequence[Any]) -> Lines:
    """One row per stage, source and form: how many, under which licence, where described."""
    rows = []
    for one in data:
        if not isinstance(one, Mapping):
            continue
        note = f"; {one['note']}" if one.get("note") else ""
        form = f" ({one['form']})" if one.get("form") else ""
        rows.append(
            (
                one.get("stage", "not said"),
                f"{one.get('source', 'not said')}{form}",
                _patients(one.get("patients")),
                one.get("licence", "not said"),
                f"{one.get('citation', 'not said')}{note}",
            )
        )
    heads = ("trains", "source", "patients by split and class", "licence", "citation")
    return _table(heads, rows) if rows else []


def _patients(patients: object) -> str:
    if not isinstance(patients, Mapping):
        return "not said"
    order = {split: place for place, split in enumerate(SPLITS)}
    return "; ".join(
        f"{split}: " + ", ".join(f"{label} {n}" for label, n in of.items())
        if isinstance(of, Mapping)
        else f"{split}: {of}"
        for split, of in sorted(patients.items(), key=lambda item: order.get(item[0], len(order)))
    )


def _figures(metrics: Mapping[str, Any]) -> Lines:
    """A table per experiment; a figure is a number, or a value with its interval."""
    lines: Lines = []
    for title, figures in metrics.items():
        if not _has_figures(figures):
            lines += [f"**{title}**: {_inline(figures)}", ""]
            continue
        about = {k: v for k, v in figures.items() if not _is_number(v) and not _has_figures(v)}
        words = "; ".join(f"{name}: {_inline(value)}" for name, value in about.items())
        lines += [f"**{title}**" + (f" ({words})" if words else ""), ""]
        rows = _flat({k: v for k, v in figures.items() if k not in about})
        lines += [*_table(("figure", "value"), rows), ""]
    return lines[:-1]


def _has_figures(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _flat(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and figures, those of the whole before those of its parts."""
    parts = {k: v for k, v in figures.items() if isinstance(v, Mapping) and "value" not in v}
    for name, value in figures.items():
        if name not in parts:
            yield f"{prefix}{name}", _inline(value)
    for name, part in parts.items():
        yield from _flat(part, f"{prefix}{name}, ")


def _inline(value: object) -> str:
    """A figure as text; with `low` and `high`, or `interval`, its interval behind it."""
    if isinstance(value, Mapping) and "value" in value:
        ends = value.get("interval")
        if isinstance(ends, Mapping):
            ends = (ends.get("low"), ends.get("high"))
        elif ends is None and "low" in value:
            ends = (value["low"], value.get("high"))
        return _share(value["value"]) + (f" ({'–'.join(map(_share, ends))})" if ends else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_inline(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return "–".join(map(_number, value)) if _is_pair(value) else ", ".join(map(_inline, value))
    return _number(value)


def _is_pair(value: Sequence[object]) -> bool:
    return len(value) == 2 and all(map(_is_number, value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _share(value: object) -> str:
    """A figure that has an interval: as many decimals as its ends."""
    return f"{value:.3f}" if isinstance(value, float | int) else "not defined"


def _number(value: object) -> str:
    if value is None:
        return "not defined"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _fitted(bundle: Bundle) -> Lines:
    calibration, point = bundle.metadata.calibration, bundle.metadata.operating_point
    lines = [
        f"Each group's logits are divided by {calibration.temperature:.3f}, fitted on "
        f"{calibration.n} patients ({calibration.fitted_on})."
        if calibration
        else "No temperature was fitted: the probabilities are the networks' own.",
        "",
    ]
    lines += [*_conformal(bundle.metadata), ""]
    if point is None and bundle.metadata.share_rule is not None:
        return [*lines, "No threshold is stored but those of the share rule."]
    if point is None:
        return [*lines, "No threshold is stored: the vote decides alone."]
    return [
        *lines,
        f"A patient is called positive ({', '.join(point.positive)}) at a summed probability of "
        f"{point.threshold:.4f} or more: sensitivity {point.sensitivity:.3f}, specificity "
        f"{point.specificity:.3f} on the {point.n} patients it was chosen on ({point.fitted_on}). "
        "On others expect less.",
    ]


def _conformal(metadata: BundleMetadata) -> Lines:
    """Which verdicts are left for a reader, and what the site's own cases said of that."""
    allowed, site = metadata.conformal, metadata.calibrated_on
    if allowed is None:
        return [
            "It was not calibrated on a site's cases: no verdict is left for a reader for that."
        ]
    lines = [
        f"A verdict is given where one answer alone is possible: findings from a score of "
        f"{allowed.findings_quantile:.4f} on, none seen up to {allowed.none_quantile:.4f}; any "
        f"other study is for a reader. Each misses the truth in at most {allowed.alpha:.3g} of new "
        f"patients like the {allowed.n_ill} ill and {allowed.n_not_ill} not ill ones it was fitted "
        f"on ({allowed.fitted_on})."
    ]
    if site is None:
        return lines
    how = f", by the {site.criterion}" if site.criterion else ""
    rows = [(name, _inline(figure), figure["n"]) for name, figure in site.cross_fitted.items()]
    return [
        *lines,
        "",
        f"Made from {site.bundle}: {', '.join(site.refitted)} fitted anew{how}. Each patient left "
        "out of the fit and judged with it:",
        "",
        *_table(("share", "value", "of"), rows),
    ]


def _rebuild(training: Mapping[str, Any]) -> Lines:
    """Command, experiment, settings, hardware, time and versions."""
    lines: Lines = []
    if training.get("command"):
        lines += ["```", str(training["command"]), "```", ""]
    named = ("experiment", "hardware", "versions")
    facts = [(name, _inline(training[name])) for name in named if training.get(name)]
    seconds = training.get("wall_time_s")
    if _is_number(seconds):
        hours, minutes = divmod(round(float(str(seconds)) / 60), 60)
        facts.append(("wall time", f"{hours} h {minutes} min" if hours else f"{minutes} min"))
    facts += list(_flat(_of(training, "settings", {}), "setting "))
    segmenter = _of(training, "segmenter", {})
    if segmenter.get("taken_from"):
        facts.append(("lung segmenter", f"that of {segmenter['taken_from']}"))
    facts += list(_flat(_of(segmenter, "settings", {}), "lung segmenter, setting "))
    return [*lines, *_table(("what", "value"), facts)] if facts else lines[:-1]


def _table(heads: Sequence[str], rows: Any) -> Lines:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return lines


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
