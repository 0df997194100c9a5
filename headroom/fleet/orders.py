"""Limits on their way from a site's controller to the workers: each with the fencing token, none without the lease.

Redis takes an order only while the lease there is the sender's; a worker refuses a lower token than it has seen.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from domain.commands import ApplySetpoint
from domain.events import Event
from domain.ids import ChargerId
from domain.ports import Clock
from headroom.fleet.codec import Announced, Command, encode_order
from headroom.fleet.connection import TROUBLE, Fleet
from headroom.fleet.lease import Lease
from headroom.fleet.registry import Place
from headroom.waiting import unless_cancelled
from proxy.deskwork import refused

log = structlog.get_logger()

_MOST_ORDERS = 10_000
_BATCH = 200

_SEND = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'k', ARGV[3], 'd', ARGV[4])
return 1
"""


class Sender(Protocol):
    """Whose orders they are."""

    def tell(self, event: Event) -> None:
        """What could not be sent, at once."""
        ...

    def fenced_off(self) -> None:
        """Redis said that the lease is another's."""
        ...


class Orders:
    """One reign's. `place_of` says where a charger is."""

    def __init__(
        self,
        fleet: Fleet,
        lease: Lease,
        clock: Clock,
        place_of: Callable[[ChargerId], Place | None],
        sender: Sender,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Orders `sent`, `fenced` (the lease was another's), `unlinked`, `lost` (Redis did not take them)."""
        self._fleet, self._lease, self._clock = fleet, lease, clock
        self._place_of, self._sender = place_of, sender
        self._waiting: deque[tuple[str, Command | Announced]] = deque()
        self._wake = asyncio.Event()

    def send(self, apply: ApplySetpoint) -> None:
        """Bring a limit to where its charger is; without a link, or a lease, that is a refusal at once."""
        place = self._place_of(apply.charger)
        if place is None or not self._lease.valid:
            self.counts["unlinked" if place is None else "fenced"] += 1
            self._refuse(apply, "no link" if place is None else "the site has another controller")
            return
        self._put(place.worker, Command(self._lease.site, self._lease.token, place.epoch, apply))

    def announce(self, workers: Iterable[str]) -> None:
        """Tell workers that this reign has begun; they tell how their links stand, and acknowledge."""
        for worker in workers:
            self._put(worker, Announced(self._lease.site, self._lease.token))

    async def run(self) -> None:
        """Send what waits, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._send_some()

    def _put(self, worker: str, order: Command | Announced) -> None:
        self._waiting.append((worker, order))
        self._wake.set()

    async def _send_some(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        if not self._lease.valid:
            self._failed(batch, "fenced", "the site has another controller")
            return
        keys = self._fleet.keys
        try:
            async with self._fleet.quick.pipeline(transaction=False) as pipe:
                for worker, order in batch:
                    fields = encode_order(order)
                    streams = (keys.lease(self._lease.site), keys.commands(worker))
                    pipe.eval(_SEND, 2, *streams, self._lease.value, str(_MOST_ORDERS), fields["k"], fields["d"])
                answers = await pipe.execute()
        except TROUBLE as error:
            unless_cancelled()
            # Some may have gone out all the same: that is what a refusal leaves open.
            self._failed(batch, "lost", f"Redis does not answer: {type(error).__name__}")
            return
        self.counts["sent"] += sum(answer == 1 for answer in answers)
        fenced = [one for one, answer in zip(batch, answers, strict=True) if answer != 1]
        if fenced:
            self._sender.fenced_off()
            self._failed(fenced, "fenced", "the site has another controller")

    def _failed(self, batch: Iterable[tuple[str, Command | Announced]], kind: str, why: str) -> None:
        for _, order in batch:
            self.counts[kind] += 1
            if isinstance(order, Command):
                self._refuse(order.apply, why)

    def _refuse(self, apply: ApplySetpoint, why: str) -> None:
        self._sender.tell(refused(apply, self._clock, why))
