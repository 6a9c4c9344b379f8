"""Every error groundglass raises on purpose, drawn as one tree.

GroundglassError
├── InputError                what was given cannot be analysed
│   ├── ReadError             no file in the input could be read as an image
│   │   ├── UnreadableMember  a file in a zip archive is damaged (read.sources)
│   │   └── DamagedFile       an image that should be there cannot be used (read.sources)
│   ├── NoChestCT             files were read, but no series is an axial chest CT
│   ├── IncompleteSeries      images of the chest CT that an archive lists did not come
│   ├── AssemblyError         the series cannot be made into one regular volume
│   └── Identifying           an object that cannot be de-identified (deidentify)
├── BundleError               weights are missing, altered or of another version
├── SettingsError             a setting has a value that makes no sense
├── ReportError               the result could not be written; nothing was left behind
├── SpoolFull                 no room for another instance (node.inbound.spool)
├── DatabaseDown              the job table did not do what it was asked (node.queue.states)
├── LeaseLost                 another worker has the job (node.queue.states)
├── AnalysisFailed            an analysis broke down (node.worker.analyser)
├── NoRoom                    a report could not be written, the disk is full (node.worker.analyser)
├── AnalysisStopped           an analysis was broken off (node.worker.analyser)
├── PeerError                 another system could not be reached or refused us (node.dimse.clients)
└── DeliveryError             a destination could not be reached (node.outbound.delivery)
    └── Undelivered           some destinations lack something still (node.outbound.delivery)

Those with a module's name stand there, beside what raises them. Every message says what was found,
what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


def install_extra(extra: str) -> str:
    """How to add what a plain install leaves out; no package index has a release yet.

    Parameters
    ----------
    extra : str
        Its name in pyproject.toml.
    """
    return f"In a checkout of groundglass, run: pip install '.[{extra}]'"


class GroundglassError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    found : str
        What was found.
    expected : str
        What was expected instead.
    action : str
        What the reader of the message can do about it.
    """

    def __init__(self, found: str, *, expected: str, action: str) -> None:
        self.found = found
        self.expected = expected
        self.action = action
        super().__init__(found, expected, action)

    def __str__(self) -> str:
        return f"Found {self.found}; expected {self.expected}. {self.action}"


class InputError(GroundglassError):
    """What was given cannot be analysed."""


class ReadError(InputError):
    """No file in the input could be read as an image."""


class NoChestCT(InputError):  # noqa: N818  (the API's word; reads as what it says)
    """Files were read, but no series is an axial chest CT fit for the lungs.

    Parameters
    ----------
    rejections : sequence of str
        One line per rejected series, each with its reason.
    """

    def __init__(
        self, found: str, *, expected: str, action: str, rejections: Sequence[str] = ()
    ) -> None:
        self.rejections = tuple(rejections)
        super().__init__(found, expected=expected, action=action)


class IncompleteSeries(InputError):  # noqa: N818  (reads as what it says)
    """Images of the chest CT are missing that an archive lists."""


class AssemblyError(InputError):
    """The series cannot be made into one regular volume."""


class BundleError(GroundglassError):
    """Weights are missing, altered or of a version this program does not know."""


class SettingsError(GroundglassError):
    """A setting has a value that makes no sense."""


class ReportError(GroundglassError):
    """The result could not be written; nothing half-written was left behind."""
