"""What the environment may set: the only reader of it."""

import os
from dataclasses import dataclass

from domain.errors import HeadroomError
from domain.ports import Clock
from headroom.clock import FastClock, WallClock

DEFAULT_DATABASE = os.environ.get("HEADROOM_DATABASE", "sqlite:///headroom.db")
"""Where `--database` is not given: a URL with a password is nobody's to read there, but is in a list of processes."""

_KEEP_DAYS = 92.0
_KEEP_SESSIONS_DAYS = 730.0


@dataclass(frozen=True, slots=True)
class Settings:
    """`HEADROOM_CLOCK` runs the service on a fast clock (`demo` sets it); `HEADROOM_LOG` is the least log level;
    `HEADROOM_SPOOL` the file in which a site that holds keeps the messages of an outage; `HEADROOM_KEEP_DAYS` how long
    measured values and decisions stay in the database, `HEADROOM_KEEP_SESSIONS_DAYS` how long sessions and alarms do.
    `HEADROOM_REDIS_PREFIX`: the fleets that share a Redis have one each; `HEADROOM_ADVERTISE`: the URL under which the
    other processes of a fleet reach this one's API. `OTEL_EXPORTER_OTLP_ENDPOINT`: where traces go, nowhere without it.
    """

    clock_text: str | None = None
    log_level: str = "info"
    spool: str | None = None
    keep_days: float = _KEEP_DAYS
    keep_sessions_days: float = _KEEP_SESSIONS_DAYS
    redis_prefix: str = "headroom"
    advertise: str | None = None
    traces_to: str | None = None

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the process's environment."""
        read = os.environ.get
        return cls(
            read("HEADROOM_CLOCK"),
            read("HEADROOM_LOG", "info"),
            read("HEADROOM_SPOOL"),
            _days("HEADROOM_KEEP_DAYS", _KEEP_DAYS),
            _days("HEADROOM_KEEP_SESSIONS_DAYS", _KEEP_SESSIONS_DAYS),
            read("HEADROOM_REDIS_PREFIX", "headroom"),
            read("HEADROOM_ADVERTISE"),
            read("OTEL_EXPORTER_OTLP_ENDPOINT"),
        )

    def clock(self) -> Clock:
        """The clock that the service runs on."""
        return WallClock() if self.clock_text is None else FastClock.parse(self.clock_text)


def _days(name: str, otherwise: float) -> float:
    text = os.environ.get(name)
    if text is None:
        return otherwise
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 1 <= days <= 36_500:
        raise HeadroomError(f"{name}={text!r}: must be a number of days from 1 to 36500")
    return days


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a child process of ours."""
    return {**os.environ, **extra}
