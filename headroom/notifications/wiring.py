"""The senders of a running service."""

from collections.abc import Awaitable, Callable
from functools import partial

from domain.errors import HeadroomError
from headroom.notifications.settings import NotifySettings, secret_of
from headroom.notifications.webhooks import WebhookSender
from headroom.service import Service


def notifiers(
    settings: NotifySettings, service: Service, new_id: Callable[[], str]
) -> list[Callable[[], Awaitable[None]]]:
    """What is to be run beside the service.

    Raises:
        HeadroomError: a secret cannot be read, or MQTT is asked for and not installed.
    """
    parts: list[Callable[[], Awaitable[None]]] = []
    for hook in settings.webhooks:
        sender = WebhookSender(hook, secret_of(hook.secret_file), service.store, service.clock, new_id)
        service.webhooks[hook.name] = sender.counts
        parts.append(sender.run)
        parts += [
            partial(sender.follow, service.feed, s) for s in service.controllers if not hook.sites or s in hook.sites
        ]
    if settings.mqtt:
        try:
            from headroom.notifications.mqtt import BrokerPublisher
        except ModuleNotFoundError as error:
            raise HeadroomError(
                f"--notify: mqtt needs the package '{error.name}': pip install headroom[meters]"
            ) from None
        parts += [BrokerPublisher(broker, service).run for broker in settings.mqtt]
    return parts
