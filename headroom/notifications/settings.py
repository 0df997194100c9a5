"""The file of `--notify`: who is told what."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, UrlConstraints, ValidationError
from pydantic_core import Url

from domain.errors import HeadroomError

EventKind = Literal["alarm.raised", "alarm.cleared", "evse.changed"]
EVENTS: tuple[EventKind, ...] = ("alarm.raised", "alarm.cleared", "evse.changed")
HttpUrl = Annotated[Url, UrlConstraints(allowed_schemes=["http", "https"], host_required=True)]
MqttUrl = Annotated[Url, UrlConstraints(allowed_schemes=["mqtt", "mqtts"], host_required=True)]


class Webhook(BaseModel):
    """An address that is told by POST, signed with the secret of a file (at least 16 characters)."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    url: HttpUrl
    secret_file: Path
    events: list[EventKind] = Field(default=["alarm.raised", "alarm.cleared"], min_length=1)
    sites: list[str] | None = None


class Broker(BaseModel):
    """An MQTT broker that is told the state, retained, below `prefix`."""

    model_config = ConfigDict(extra="forbid")
    url: MqttUrl
    prefix: str = Field("headroom", min_length=1, max_length=100, pattern=r"^[^#+\x00]+$")
    username: str | None = None
    password_file: Path | None = None
    ca: Path | None = None
    sites: list[str] | None = None


class NotifySettings(BaseModel):
    """Everybody who is told."""

    model_config = ConfigDict(extra="forbid")
    webhooks: list[Webhook] = []
    mqtt: list[Broker] = []


def read_settings(file: Path, sites: list[str]) -> NotifySettings:
    """The settings of a file; `HeadroomError` names file, field and what is wrong."""
    try:
        found = NotifySettings.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise HeadroomError(f"--notify {file}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise HeadroomError(f"--notify {file}: not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise HeadroomError(f"--notify {file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    names = [hook.name for hook in found.webhooks]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise HeadroomError(f"--notify {file}: webhooks.{index}.name: '{name}' is there twice")
    for confined in (*(hook.sites for hook in found.webhooks), *(broker.sites for broker in found.mqtt)):
        for site in confined or ():
            if site not in sites:
                raise HeadroomError(f"--notify {file}: sites: there is no site '{site}'; known: {', '.join(sites)}")
    for hook in found.webhooks:
        secret_of(hook.secret_file)
    return found


def secret_of(file: Path) -> bytes:
    """A webhook's secret; `HeadroomError` where it cannot be read or is too short."""
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise HeadroomError(f"secret_file {file}: {error.strerror}") from None
    if len(secret) < 16:
        raise HeadroomError(f"secret_file {file}: a secret has at least 16 characters: openssl rand -hex 32 > {file}")
    return secret.encode()
