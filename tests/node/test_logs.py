"""The log: one JSON object a line, and nobody's name."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from groundglass.errors import SettingsError
from groundglass.node.logs import JsonLines, Pseudonyms, SparingLog, node_log
from node.job_twins import SetClock


def record(message: str, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("groundglass.serve.x", logging.INFO, "f", 1, message, (), None)
    made.__dict__.update(more)
    return made


def test_a_line_is_an_object_with_its_fields() -> None:
    line = JsonLines().format(record("analysed", fields={"job": 7, "study": "ab", "text": "a\nb"}))
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["event"], entry["job"], entry["level"]) == ("analysed", 7, "info")
    assert entry["time"].endswith("+00:00")


def test_an_exception_is_told_by_kind_and_place_not_by_its_text() -> None:
    try:
        int("Doe^John")
    except ValueError:
        made = record("broke", exc_info=sys.exc_info())
    entry = json.loads(JsonLines().format(made))
    assert entry["error"] == "ValueError"
    assert "test_an_exception" in entry["where"]
    assert "Doe" not in json.dumps(entry)


def test_a_pseudonym_depends_on_the_key_and_on_nothing_else() -> None:
    assert Pseudonyms(b"a").of("1.2") == Pseudonyms(b"a").of("1.2")
    assert len({Pseudonyms(k).of(u) for k in (b"a", b"b") for u in ("1.2", "1.3")}) == 4


def test_a_key_cut_short_is_refused(tmp_path) -> None:
    (tmp_path / "site.key").write_text("abc")
    with pytest.raises(SettingsError, match="3 characters"):
        Pseudonyms.at(tmp_path)


def test_what_anybody_can_cause_is_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    clock = SetClock()
    sparing = SparingLog(node_log("x"), 60, clock.now)
    for address in "abc":
        sparing.warning("refused", reason="unknown", address=address)
    sparing.warning("refused", reason="crowded", address="a")
    clock.go(60)
    sparing.warning("refused", reason="unknown", address="d")
    assert [one.fields for one in caplog.records] == [  # type: ignore[attr-defined]
        {"reason": "unknown", "address": "a"},
        {"reason": "crowded", "address": "a"},
        {"reason": "unknown", "address": "d", "unsaid": 2},
    ]
