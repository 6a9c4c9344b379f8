"""Tells open pages that the list has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from groundglass.node.logs import node_log
from groundglass.node.queue.states import DatabaseDown
from groundglass.web.worklist.board import Board

_LOG = node_log("page")
#: How often the table is looked at while anybody watches, in s.
_LOOK_EVERY_S = 1.0
#: A list on which nothing happens is told of again after this, in s: waiting times grow.
_TOLD_AGAIN_S = 30.0


class BoardWatch:
    """One look at the tables a second, however many pages are open; none where none is."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._version = 0
        self._pulse: object = None
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._ended = False

    async def versions(self) -> AsyncIterator[int]:
        """A number at once, and another one whenever the list has changed, until the page ends."""
        self._watchers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            while not self._ended:
                version = self._version
                yield version
                async with self._changed:
                    await self._wait_for_another(version)
        finally:
            self._watchers -= 1

    async def end(self) -> None:
        """Let everybody go."""
        self._ended = True
        async with self._changed:
            self._changed.notify_all()

    async def _wait_for_another(self, version: int) -> None:
        try:
            async with asyncio.timeout(_TOLD_AGAIN_S):
                await self._changed.wait_for(lambda: self._ended or self._version != version)
        except TimeoutError:
            return

    async def _look(self) -> None:
        while self._watchers and not self._ended:
            try:
                pulse: object = await run_in_threadpool(self._board.pulse)
                if pulse != self._pulse:
                    await run_in_threadpool(self._board.make_ready)
            except DatabaseDown as error:
                _LOG.warning("database down", found=error.found)
                pulse = self._pulse
            if pulse != self._pulse:
                self._pulse = pulse
                self._version += 1
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(_LOOK_EVERY_S)
