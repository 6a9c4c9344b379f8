"""What rules ask of a study, as the job table keeps it: a JSON object by DICOM keyword."""

from __future__ import annotations

import json

from groundglass.node.rule_tags import TagValues

#: Of one attribute; what differs from image to image is no fact of a study.
_MOST_VALUES = 8
#: Characters of one value: the longest of VR LO (PS3.5 table 6.2-1).
_LONGEST = 64


def as_values(facts: str) -> TagValues:
    """What is kept, as the rules take it."""
    kept: TagValues = json.loads(facts) if facts else {}
    return kept


def with_more(facts: str, seen: TagValues) -> str:
    """What is to be kept when another image has been seen; the same when it says nothing new."""
    kept = {keyword: list(values) for keyword, values in as_values(facts).items()}
    for keyword, values in seen.items():
        known = kept.setdefault(keyword, [])
        known += [one[:_LONGEST] for one in values if one[:_LONGEST] not in known]
        del known[_MOST_VALUES:]
    return json.dumps(kept, ensure_ascii=False, sort_keys=True) if kept else ""
