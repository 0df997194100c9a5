"""What can be set about the proxy, and what it counts."""

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.events import OcppVersion
from proxy.door import DoorSettings
from proxy.legs import LegSettings
from proxy.protocol.effects import Count
from proxy.protocol.turns import RelaySettings

VERSIONS: Final[tuple[OcppVersion, ...]] = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
ASSUMED_VERSION: Final[OcppVersion] = "ocpp1.6"
"""What a charger speaks that offers no subprotocol at all: such ones are 1.6 chargers of the first years."""


@dataclass(frozen=True, slots=True)
class HoldSettings:
    """`redial_first_s`, doubling to `redial_most_s`, with up to half as much again by chance: when a lost CSMS is
    dialled again. `local_answer_s`: how long a transaction message waits for a CSMS that is connected and silent (a
    charger itself waits 30 s); `late_reply_s`: how long that CSMS's reply is waited for before the message is sent
    again. `replay_per_s`: kept messages of all chargers together.
    """

    redial_first_s: float = 1.0
    redial_most_s: float = 60.0
    local_answer_s: float = 20.0
    late_reply_s: float = 30.0
    replay_per_s: float = 50.0


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Time-outs are of the network and run on the loop's clock.

    `ping_s`: how long a socket may be silent before it is pinged. `dead_s`: how long a peer may be silent that has
    answered a ping before; one that never answers pings is left to TCP (`proxy.network`).
    """

    versions: tuple[OcppVersion, ...] = VERSIONS
    handshake_s: float = 10.0
    dial_s: float = 5.0
    ping_s: float = 20.0
    dead_s: float = 60.0
    retry_after_s: int = 10
    relay: RelaySettings = field(default_factory=RelaySettings)
    charger_leg: LegSettings = field(default_factory=lambda: LegSettings(stall_s=30.0))
    csms_leg: LegSettings = field(default_factory=LegSettings)
    door: DoorSettings = field(default_factory=DoorSettings)
    hold: HoldSettings = field(default_factory=HoldSettings)


class RelayLatency:
    """How long frames were in our hands: from what the socket gave us to what the other socket took, as a histogram.

    One in `EVERY` is measured, the first one first; `left` counts down to the next.
    """

    EVERY: Final = 16
    BOUNDS_S: Final = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)

    __slots__ = ("counts", "left", "sum_s")

    def __init__(self) -> None:
        self.left = 1
        self.counts = [0] * (len(self.BOUNDS_S) + 1)
        self.sum_s = 0.0

    def took(self, seconds: float) -> None:
        """The frames of one reading were relayed in this time."""
        self.left = self.EVERY
        self.counts[bisect_left(self.BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


@dataclass(slots=True)
class Counters:
    """Since the start. `to_csms` and `to_charger` count relayed messages, `injected` our own to chargers and
    `injected_up` to the CSMS.

    Of the relay: `malformed` and `unknown_type` messages (relayed all the same), `unmatched` replies (relayed),
    `swallowed` replies to us, `timed_out` CALLs of ours, `gave_up` lines of a peer whose reply did not come,
    `bounced` CALLs of ours that were sent again, `overflow` frames sent out of turn, `dropped` ones that waited when
    their pair ended, and those lost to a closing socket. Of intercepted messages: `answered` by us,
    `rewritten`, `undecided` ones that went on unchanged because their time was over, `refused` because too much waited.
    Of the handshake: `connected`, `replaced` by a newer socket, `unknown_identity`, `no_common_version`,
    `refused_by_csms`, `csms_unreachable`.
    Of sites that hold: `csms_lost`, `admitted_without_csms`, messages `held` (answered by us), `replayed` and
    `set_aside` (the CSMS does not take them), `starts_in_doubt`, `spool_errors` (what the disk did not do).
    Of second readers: messages copied (`fan_out`), and those that they did not take (`fan_out_dropped`).
    """

    to_csms: int = 0
    to_charger: int = 0
    injected: int = 0
    injected_up: int = 0
    malformed: int = 0
    unknown_type: int = 0
    unmatched: int = 0
    swallowed: int = 0
    timed_out: int = 0
    gave_up: int = 0
    bounced: int = 0
    overflow: int = 0
    dropped: int = 0
    answered: int = 0
    rewritten: int = 0
    undecided: int = 0
    refused: int = 0
    desk_errors: int = 0
    connected: int = 0
    replaced: int = 0
    unknown_identity: int = 0
    no_common_version: int = 0
    refused_by_csms: int = 0
    csms_unreachable: int = 0
    csms_lost: int = 0
    admitted_without_csms: int = 0
    held: int = 0
    replayed: int = 0
    set_aside: int = 0
    starts_in_doubt: int = 0
    spool_errors: int = 0
    fan_out: int = 0
    fan_out_dropped: int = 0

    relay_latency: RelayLatency = field(default_factory=RelayLatency)

    def add(self, kind: Count) -> None:
        """Count one of what the relay counts."""
        setattr(self, kind, getattr(self, kind) + 1)


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A charger that is let in now."""

    version: OcppVersion
    since: datetime
    silent_s: float
    """How long the charger has said nothing."""
    csms_away: bool = False
    """Whether it goes on without its CSMS."""
