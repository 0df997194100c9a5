"""A worker: it holds chargers' links, tells what happens there, and carries out what the site's controller orders."""

import asyncio
import os
import secrets
import socket
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from domain import events as e
from domain.events import Event
from domain.ids import ChargerId, SiteId
from domain.ports import Clock
from headroom.charger_lore import SiteBook
from headroom.fleet.codec import Acknowledged, Announced, CodecError, Command, Order, decode_order
from headroom.fleet.connection import BLOCK_MS, TROUBLE, Fleet, text
from headroom.fleet.lore import WorkerLore
from headroom.fleet.outbox import Outbox
from headroom.fleet.publisher import Publisher
from headroom.fleet.reading import entries_of
from headroom.fleet.recap import Recap
from headroom.fleet.registry import Place, Registry
from headroom.waiting import unless_cancelled
from inventory.records import CsmsProfilesRecord
from inventory.store import Store
from proxy.server import ProxyServer

log = structlog.get_logger()

_SIGN_EVERY_S = 0.8
_RETRY_S = 0.3
_PREPARE_S = 2.5
"""So long a charger waits at most for what is known of it; then it is let in with what this worker knows."""
_LAST_EVENTS_S = 2.0
_PAGE = 200


def new_name() -> str:
    """A name that no other process had or will have; people see the machine and the process in it."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(slots=True)
class _Claim:
    """A link of ours. `place` is None until Redis has taken the claim."""

    site: SiteId
    place: Place | None


class Worker:
    """One process's. `proxy` is set before anything runs: it publishes here, and asks `prepare` before it lets in."""

    proxy: ProxyServer

    def __init__(self, name: str, book: SiteBook, fleet: Fleet, store: Store, clock: Clock) -> None:
        self.name = name
        self.outbox = Outbox(fleet)
        self.lore = WorkerLore(book, fleet, store, clock, self._own_events)
        self.counts: Counter[str] = Counter()
        """Orders `obeyed`, `fenced` off (an older controller's), for an older link (`stale`), `unreadable`."""
        self.tokens: dict[SiteId, int] = {}
        """The highest token that was seen of each site: nothing lower is obeyed."""
        self.registered = False
        self._book, self._fleet, self._store, self._clock = book, fleet, store, clock
        self._registry = Registry(fleet)
        self._publisher = Publisher(self.outbox, name, book.of_event, self._epoch_of)
        self._recap = Recap()
        self._claims: dict[ChargerId, _Claim] = {}
        self._linked: set[ChargerId] = set()
        self._cut_epochs: dict[ChargerId, int] = {}
        """Of links that are elsewhere by now: what an end of one still says is of that old one."""
        self._departed: deque[tuple[SiteId, ChargerId, Place]] = deque(maxlen=10_000)
        self._undeleted: set[str] = set()

    # What the proxy calls.

    async def prepare(self, charger: ChargerId) -> None:
        """The CSMS has let a charger in: it is here from now on, and what is known of it is looked up."""
        site = self._book.of_charger(charger)
        if site is None:
            return
        looked = False
        try:
            async with asyncio.timeout(_PREPARE_S):
                await self._claim(site, charger)
                looked = await self.lore.look(site)
        except TimeoutError:
            log.warning("charger_let_in_unprepared", charger=charger)
        if looked:
            self.proxy.forget(charger)

    async def _claim(self, site: SiteId, charger: ChargerId) -> None:
        place = None
        if self.outbox.reaches:
            try:
                place, _ = await self._registry.claim(site, charger, self.name)
            except TROUBLE as error:
                unless_cancelled()
                log.warning("link_not_claimed", charger=charger, error=f"{type(error).__name__}: {error}")
        self._claims[charger] = _Claim(site, place)

    def publish(self, event: Event) -> None:
        """Tell an event to the site's controller; never waits."""
        site = self._book.of_event(event)
        if site is None:
            return
        if isinstance(event, e.ChargerConnected):
            self._linked.add(event.charger)
        if isinstance(event, e.CsmsProfilesChanged):
            # Answers to the CSMS wait for this to be durable, so it takes the short way to the disk.
            self._store.put(CsmsProfilesRecord(event.charger, event.version, event.at, event.profiles))
        self._recap.note(event)
        self.lore.heard(site, event)
        self._publisher.publish(event)
        if isinstance(event, e.ChargerDisconnected):
            self._linked.discard(event.charger)
            claim = self._claims.pop(event.charger, None)
            if claim is not None and claim.place is not None:
                self._departed.append((site, event.charger, claim.place))

    def _epoch_of(self, event: Event) -> int | None:
        charger = self._book.charger_of(event)
        claim = None if charger is None else self._claims.get(charger)
        if claim is None:
            return None if charger is None else self._cut_epochs.get(charger)
        return None if claim.place is None else claim.place.epoch

    def _own_events(self, site: SiteId) -> Sequence[Event]:
        return [event for charger in self._linked_at(site) for event in self._recap.of(charger)]

    def _linked_at(self, site: SiteId) -> list[ChargerId]:
        return [charger for charger in self._linked if self._book.of_charger(charger) == site]

    # What runs.

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.outbox.run())
            group.create_task(self._obey_orders())
            group.create_task(self._stay_known())
            group.create_task(self.lore.keep_new(lambda: {claim.site for claim in self._claims.values()}))

    async def leave(self) -> None:
        """After the last link: tell what waits, and be forgotten."""
        try:
            async with asyncio.timeout(_LAST_EVENTS_S):
                await self.outbox.flushed()
                await self._let_go_departed()
                await self._registry.leave(self.name)
        except TROUBLE as error:
            unless_cancelled()
            log.warning("worker_left_without_a_word", waiting=len(self.outbox), error=type(error).__name__)

    async def _stay_known(self) -> None:
        """Give signs of life; say where links are, again where Redis has forgotten or never heard it."""
        first = True
        while True:
            try:
                was_known = await self._registry.give_sign(self.name, {"links": len(self._claims)})
                if not was_known and not first:
                    # Redis is empty, or this process was too late with its sign: then most of it is still known.
                    log.warning("worker_was_forgotten", links=len(self._claims))
                    await self._say_all_again()
                await self._claim_late()
                await self._let_go_departed()
                for site in self.outbox.lost():
                    self._tell_again(site)
                self.registered, first = True, False
            except TROUBLE as error:
                unless_cancelled()
                if self.registered:
                    log.error("worker_cannot_reach_redis", error=f"{type(error).__name__}: {error}")
                self.registered = False
            await asyncio.sleep(_SIGN_EVERY_S)

    async def _say_all_again(self) -> None:
        claimed = {
            charger: (claim.site, claim.place)
            for charger, claim in self._claims.items()
            if claim.place is not None and charger in self._linked
        }
        forgotten, elsewhere = await self._registry.claim_again(claimed)
        for charger in elsewhere:
            self._cut(charger, newer=None)
        for charger in forgotten:
            self._tell_charger_again(charger)

    async def _claim_late(self) -> None:
        """Links that were made while Redis was gone."""
        unclaimed = [(charger, claim) for charger, claim in self._claims.items() if claim.place is None]
        for charger, claim in unclaimed:
            place, _ = await self._registry.claim(claim.site, charger, self.name)
            if self._claims.get(charger) is claim:
                claim.place = place
                self._tell_charger_again(charger)

    async def _let_go_departed(self) -> None:
        while self._departed:
            site, charger, place = self._departed[0]
            await self._registry.let_go(site, charger, place)
            self._departed.popleft()

    def _tell_again(self, site: SiteId) -> None:
        for charger in self._linked_at(site):
            self._tell_charger_again(charger)

    def _tell_charger_again(self, charger: ChargerId) -> None:
        for event in self._recap.of(charger):
            self._publisher.publish(event, repeated=True)

    # Orders.

    async def _obey_orders(self) -> None:
        key = self._fleet.keys.commands(self.name)
        while True:
            try:
                answer = await self._fleet.blocking.xread({key: "0-0"}, count=_PAGE, block=BLOCK_MS)
                if page := entries_of(answer):
                    await self._obey_page(key, page)
            except TROUBLE:
                unless_cancelled()
                await asyncio.sleep(_RETRY_S)

    async def _obey_page(self, key: str, page: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> None:
        """Carry orders out in their order; what is done is deleted, so that nothing is done twice."""
        orders = [self._read(entry_id, fields) for entry_id, fields in page if text(entry_id) not in self._undeleted]
        known = [order for order in orders if order is not None]
        newest = {order.apply.evse: order for order in known if isinstance(order, Command)}
        for order in known:
            if isinstance(order, Command) and newest[order.apply.evse].token == order.token:
                if newest[order.apply.evse] is order:
                    self._obey_command(order)
            elif isinstance(order, Command):
                self._obey_command(order)
            elif isinstance(order, Announced):
                self._acknowledge(order)
            else:
                self._cut(order.charger, newer=order.epoch)
        ids = [text(entry_id) for entry_id, _ in page]
        self._undeleted.update(ids)
        await self._fleet.client.xdel(key, *ids)
        self._undeleted.difference_update(ids)

    def _read(self, entry_id: bytes, fields: dict[bytes, bytes]) -> Order | None:
        try:
            order = decode_order(fields)
        except CodecError as error:
            order = None
            log.error("order_not_readable", id=text(entry_id), error=str(error))
        if order is None:
            self.counts["unreadable"] += 1
        return order

    def _admits(self, site: SiteId, token: int) -> bool:
        """Whether nobody with a higher token was heard of."""
        if token < self.tokens.get(site, 0):
            self.counts["fenced"] += 1
            log.warning("order_fenced_off", site=site, number=token, newest=self.tokens[site])
            return False
        self.tokens[site] = token
        return True

    def _obey_command(self, command: Command) -> None:
        charger = command.apply.charger
        if self._book.of_charger(charger) != command.site or not self._admits(command.site, command.token):
            return
        claim = self._claims.get(charger)
        if claim is not None and claim.place is not None and claim.place.epoch != command.epoch:
            self.counts["stale"] += 1  # the controller will hear of the newer link, and decide anew
            return
        self.counts["obeyed"] += 1
        self.proxy.apply(command.apply)

    def _acknowledge(self, announced: Announced) -> None:
        """A controller takes over: tell how the links stand, then that it is obeyed. In this order in the stream."""
        if not self._admits(announced.site, announced.token):
            return
        self._tell_again(announced.site)
        number = self.outbox.next_number(announced.site)
        self.outbox.put(announced.site, Acknowledged(self.name, number, announced.token))

    def _cut(self, charger: ChargerId, newer: int | None) -> None:
        """The charger is elsewhere: its link here is closed, and nothing is said of its end."""
        claim = self._claims.get(charger)
        if claim is None or (newer is not None and claim.place is not None and claim.place.epoch >= newer):
            return
        self._claims.pop(charger)
        self._linked.discard(charger)
        if claim.place is not None:
            self._cut_epochs[charger] = claim.place.epoch
        self.counts["cut"] += 1
        log.info("link_cut", charger=charger, why="the charger has a newer connection at another worker")
        self.proxy.cut(charger)
