"""Where a charger belongs, and what is asked of it."""

import ssl as tls
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from domain.site import Charger
from proxy.entrance import EntryRules, Visitor
from proxy.recording import Recorder


@dataclass(frozen=True, slots=True)
class ChargerPlace:
    """Where a charger belongs. `csms_url` is the site's; `outage` says what is done while it cannot be reached:
    `close` turns the charger away with 503 and closes a link whose CSMS is gone, so that the charger queues what must
    not be lost and its limits in force hold; `hold` answers in the CSMS's place and tells it later (`proxy.hold`).
    `recognises_repeats`: the CSMS knows a StartTransaction again that it holds already.

    `entry`: what the charger has to prove. `csms_tls` gives what a `wss://` CSMS is dialled with (`CertificateError`
    where a file cannot be used), Python's defaults without it. `messages`: how many the charger may send a
    second and at once. `let_in` is told who came, before anything is relayed. `fan_out_url`: who sees a copy.
    `recorder` is told every message. `prepare` is awaited once the CSMS has no objection, before the charger is let in;
    it is quick and does not raise.
    """

    charger: Charger
    csms_url: str
    outage: Literal["close", "hold"] = "close"
    entry: EntryRules = field(default_factory=EntryRules)
    csms_tls: Callable[[], tls.SSLContext] | None = None
    messages: tuple[float, int] | None = None
    let_in: Callable[[Visitor], None] | None = None
    recognises_repeats: bool = False
    fan_out_url: str | None = None
    recorder: Recorder | None = None
    prepare: Callable[[], Awaitable[None]] | None = None
