"""Rows for images that are on the disk and in no table: after a database was restored, or lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from groundglass.node.inbound.header_scan import Unfit
from groundglass.node.inbound.importing import TransferResult, import_file
from groundglass.node.inbound.instances import InstanceSink
from groundglass.node.inbound.spool import QUARANTINE, Spool
from groundglass.node.queue.records import Records

#: Where the images came from, for rules and the job table: their senders are not known any more.
SOURCE = "REINDEX"


def reindex_spool(spool: Spool, records: Records, sink: InstanceSink) -> TransferResult:
    """Give every image that no table knows to the sink, as if it had just come.

    Doing it again changes nothing, nor does breaking off: an image leaves its old place when it is
    safe in its new one. What cannot be read stays where it is.

    Raises
    ------
    SpoolFull
        There is no room.
    """
    result = TransferResult()
    for path in _unknown(spool, records):
        try:
            with path.open("rb") as file:
                result.studies.add(import_file(file, SOURCE, sink))
        except Unfit as error:
            result.pass_over(str(error))
            continue
        result.taken += 1
        if path.name not in _known(
            path.parent, spool, records
        ):  # it has its right name in its right folder now
            path.unlink()
    return result


def _unknown(spool: Spool, records: Records) -> Iterator[Path]:
    """The files of all studies that no table knows, then those set aside."""
    for place in ("studies", f"{QUARANTINE}/studies"):
        for folder in sorted((spool.root / place).glob("*/*")):
            known = _known(folder, spool, records)
            yield from (path for path in sorted(folder.iterdir()) if path.name not in known)


def _known(folder: Path, spool: Spool, records: Records) -> frozenset[str]:
    """The names of the files in a study's folder that the table knows."""
    files = records.known_files(folder.relative_to(spool.root).as_posix())
    return frozenset(Path(file).name for file in files)
