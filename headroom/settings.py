"""What the environment may set: the only reader of it."""

import os
from dataclasses import dataclass

from domain.ports import Clock
from headroom.clock import FastClock, WallClock

DEFAULT_DATABASE = "sqlite+aiosqlite:///headroom.db"


@dataclass(frozen=True, slots=True)
class Settings:
    """`HEADROOM_CLOCK` runs the service on a fast clock (`demo` sets it); `HEADROOM_LOG` is the least log level;
    `HEADROOM_SPOOL` the file in which a site that holds keeps the messages of an outage.
    """

    clock_text: str | None = None
    log_level: str = "info"
    spool: str | None = None

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the process's environment."""
        read = os.environ.get
        return cls(read("HEADROOM_CLOCK"), read("HEADROOM_LOG", "info"), read("HEADROOM_SPOOL"))

    def clock(self) -> Clock:
        """The clock that the service runs on."""
        return WallClock() if self.clock_text is None else FastClock.parse(self.clock_text)


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a child process of ours."""
    return {**os.environ, **extra}
