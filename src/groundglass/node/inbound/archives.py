"""Which archive can say what a study has: its sender, or one that studies are fetched from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import PositiveFloat

from groundglass.errors import SettingsError
from groundglass.node.clock import Clock
from groundglass.node.dimse.clients import PeerError
from groundglass.node.dimse.commitment import Reference
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.dimse.peers import Peer
from groundglass.node.inbound.accepted import TAKEN_CLASSES
from groundglass.node.inbound.sources import (
    PacsSource,
    PacsSourceSettings,
    SourceSettings,
    open_source,
)
from groundglass.node.logs import node_log
from groundglass.settings.toml import settings

_LOG = node_log("completeness")

#: SOP classes of what is taken in; some archives do not say the class.
_MAY_COME = frozenset((*TAKEN_CLASSES, ""))
#: The images of a study's series by SOP Instance UID, by Series Instance UID.
Listing = Mapping[str, frozenset[str]]


@settings
class CompletenessSettings:
    """How it is found out whether a study has come whole.

    The sender is asked for its list of images where [[listener.peers]] says where it listens, then
    the archive named here. A study is whole when no image is missing of any series that came, and
    when the list was the same twice.
    """

    ask: bool = True
    """false: nobody is asked, and every result says that completeness was not verified."""
    archive: str = ""
    """Name of the [[sources]] archive that is asked about studies whose sender cannot be. Empty:
    the first of them."""
    settle_s: PositiveFloat = 3.0
    """How long after the last image, and how far apart two equal lists, before a study that the
    archive lists so is called whole; in s. 3: images of one study follow each other within one."""
    longest_pause_s: PositiveFloat = 30.0
    """The pause between two questions on one study, in s, doubles until it is so long. 30."""


class Archive(Protocol):
    """What can be asked; every `Source` can."""

    def images(self, study_instance_uid: str) -> dict[str, list[Reference]]:
        """As `Source.images`."""


class Archives:
    """Asks whoever can know what a study has.

    Parameters
    ----------
    known : mapping of str to Archive
        By the sender's AE title, or by the name of the source that studies are fetched from.
    default : str
        Which of them is asked where the sender cannot be; empty for none.
    silence_s : float
        How long one that did not answer is left alone, in s.
    """

    def __init__(
        self, known: Mapping[str, Archive], default: str, clock: Clock, silence_s: float
    ) -> None:
        self._known = known
        self._default = default
        self._clock = clock
        self._silence_s = silence_s
        self._silent_until: dict[str, float] = {}

    def listing(self, source_ae: str, study_instance_uid: str) -> tuple[str, Listing] | None:
        """Who lists images of a study, and which; None where nobody can say.

        `source_ae` is the sender, as the job table calls it. What cannot be taken in is not listed.
        """
        for name in dict.fromkeys((source_ae, self._default)):
            listed = self._ask(name, study_instance_uid) if name in self._known else {}
            if listed:
                return name, listed
        return None

    def _ask(self, name: str, study_instance_uid: str) -> Listing:
        """What one archive lists; nothing where it does not answer."""
        now = self._clock.now()
        if now < self._silent_until.get(name, 0.0):
            return {}
        try:
            images = self._known[name].images(study_instance_uid)
        except PeerError as error:
            self._silent_until[name] = now + self._silence_s
            _LOG.warning("archive not asked", archive=name, reason=error.found)
            return {}
        listed = {
            series: frozenset(uid for kind, uid in found if uid and kind in _MAY_COME)
            for series, found in images.items()
        }
        return {series: uids for series, uids in listed.items() if uids}


def open_archives(
    wanted: CompletenessSettings,
    listener: ListenerSettings,
    sources: Sequence[SourceSettings],
    clock: Clock,
) -> Archives:
    """As the settings say.

    Raises
    ------
    SettingsError
        There is no source of that name, or one cannot be used.
    """
    names = [source.name for source in sources]
    if wanted.archive and wanted.archive not in names:
        raise SettingsError(
            f"completeness.archive = {wanted.archive!r}",
            expected=f"one of [[sources]] ({', '.join(names) or 'none is defined'})",
            action="Name one of them, or leave it empty.",
        )
    known: dict[str, Archive] = {}
    if wanted.ask:
        known |= {p.ae_title: _peer(p, listener.ae_title) for p in listener.peers if p.host}
        # A study that we fetched bears the source's name, cut as the job table cuts it.
        known |= {source.name[:16]: open_source(source) for source in sources}
    default = wanted.archive or next(iter(names), "")
    return Archives(known, default[:16], clock, wanted.longest_pause_s)


def _peer(peer: Peer, calling_ae_title: str) -> Archive:
    """A sender that says where it listens, as an archive that can be asked."""
    named = PacsSourceSettings(
        peer.ae_title,
        peer.ae_title,
        peer.host,
        peer.port,
        calling_ae_title=calling_ae_title,
        tls=peer.tls,
    )
    return PacsSource(named)
