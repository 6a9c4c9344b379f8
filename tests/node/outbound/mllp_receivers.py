"""An MLLP receiver by others (python-hl7's), and one whose answers are bytes that a test gives."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import hl7
from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server

Answer = Callable[[hl7.Message], str]


def acknowledged(message: hl7.Message) -> str:
    """Taken, as python-hl7 says it."""
    return str(message.create_ack())


@dataclass
class Receiver:
    """What it was sent, in order."""

    messages: list[hl7.Message] = field(default_factory=list)
    port: int = 0


@contextmanager
def receiving(
    answer: Answer = acknowledged, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """python-hl7's own server, in a thread of its own."""
    receiver = Receiver()
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        try:
            message = await reader.readmessage()
            receiver.messages.append(message)
            writer.writemessage(hl7.parse(answer(message)))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a check connects and says nothing
        finally:
            writer.close()

    async def begin() -> asyncio.Server:
        server = await start_hl7_server(
            serve, "127.0.0.1", 0, encoding="utf-8", limit=2**20, ssl=tls
        )
        receiver.port = server.sockets[0].getsockname()[1]
        return server

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(begin())
        ready.set()
        loop.run_forever()
        server.close()
        loop.run_until_complete(server.wait_closed())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@contextmanager
def saying(*parts: bytes, hold: bool = False) -> Iterator[int]:
    """The port of a receiver that answers so, once; then it hangs up, or holds the line."""
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            got = b""
            while not got.endswith(b"\x1c\r"):
                more = connection.recv(4096)
                if not more:
                    return
                got += more
            try:
                for part in parts:
                    connection.sendall(part)
            except OSError:  # the other side has had enough
                return
            if hold:
                over.wait(30)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()
        thread.join()
