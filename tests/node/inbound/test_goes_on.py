"""Ways in that look again and again go on whatever one look came to."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from groundglass.node.inbound.retrieve import Fetched, Retriever
from groundglass.node.inbound.sources import PacsSource, PacsSourceSettings, Schedule
from groundglass.node.inbound.watch import FolderWatch, WatchSettings
from node.in_memory import MemorySink


@pytest.mark.parametrize("way", ["folder", "archive"])
def test_a_look_that_no_thread_could_be_made_for_is_not_the_last(
    way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looks, again = [], threading.Event()

    def look() -> list[str]:
        looks.append(way)
        if len(looks) == 1:
            raise RuntimeError("can't start new thread")
        again.set()
        return []

    part: FolderWatch | Retriever
    if way == "folder":
        part = FolderWatch(WatchSettings(tmp_path, poll_s=0.01), MemorySink())
    else:
        source = PacsSource(PacsSourceSettings("a", "ARCHIVE", "127.0.0.1", 104))
        fetched = Fetched(tmp_path / "fetched")
        part = Retriever(source, Schedule(every_s=0.01), MemorySink(), fetched)
    part.look_once = look  # type: ignore[method-assign,assignment]
    part.start()
    try:
        assert again.wait(30)
    finally:
        part.stop()
    assert [one.exc_info[0] for one in caplog.records if one.exc_info] == [RuntimeError]
