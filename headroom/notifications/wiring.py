"""The senders of a running service, or of one site of a fleet."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import httpx

from domain.errors import HeadroomError
from headroom.notifications.settings import NotifySettings, secret_of
from headroom.notifications.watched import Watched
from headroom.notifications.webhooks import WebhookCounts, WebhookSender, new_client

if TYPE_CHECKING:
    from headroom.notifications.mqtt import BrokerPublisher

Part = Callable[[], Awaitable[None]]


@dataclass
class Notifiers:
    """Of one process. `webhooks` counts what became of the messages to each, by its name.

    Raises:
        HeadroomError: a secret cannot be read, or MQTT is asked for and not installed.
    """

    settings: NotifySettings
    new_id: Callable[[], str]
    webhooks: dict[str, WebhookCounts]
    client: httpx.AsyncClient = field(default_factory=new_client)

    def __post_init__(self) -> None:
        self._secrets = {hook.name: secret_of(hook.secret_file) for hook in self.settings.webhooks}
        for hook in self.settings.webhooks:
            self.webhooks[hook.name] = WebhookCounts()
        self._publisher: type[BrokerPublisher] | None = _publisher() if self.settings.mqtt else None

    def parts(self, watched: Watched) -> list[Part]:
        """What is to be run beside the control of these sites."""
        parts: list[Part] = []
        for hook in self.settings.webhooks:
            for site in watched.controllers:
                if hook.sites and site not in hook.sites:
                    continue
                secret, counts = self._secrets[hook.name], self.webhooks[hook.name]
                sender = WebhookSender(
                    hook, site, secret, watched.store, watched.clock, self.new_id, self.client, counts=counts
                )
                parts += [sender.run, partial(sender.follow, watched.feed, watched.after)]
        if self._publisher is not None:
            for broker in self.settings.mqtt:
                if broker.sites is None or any(site in broker.sites for site in watched.controllers):
                    parts.append(self._publisher(broker, watched).run)
        return parts


def _publisher() -> "type[BrokerPublisher]":
    try:
        from headroom.notifications.mqtt import BrokerPublisher
    except ModuleNotFoundError as error:
        raise HeadroomError(f"--notify: mqtt needs the package '{error.name}': pip install headroom[meters]") from None
    return BrokerPublisher
