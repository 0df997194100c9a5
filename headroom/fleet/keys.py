"""The names of everything that is kept in Redis, under one prefix."""

from dataclasses import dataclass

from domain.ids import SiteId


@dataclass(frozen=True, slots=True)
class Keys:
    """Several installations share a Redis where each has a prefix of its own. One Redis, not a cluster of shards: the
    scripts touch keys of a site and of a worker together.
    """

    prefix: str = "headroom"

    def events(self, site: SiteId) -> str:
        """Stream: what happened at a site, in order."""
        return f"{self.prefix}:site:{site}:events"

    def lease(self, site: SiteId) -> str:
        """Who controls a site: `TOKEN HOLDER URL`; gone when nobody does."""
        return f"{self.prefix}:site:{site}:lease"

    def token(self, site: SiteId) -> str:
        """The newest fencing token that was given out for a site."""
        return f"{self.prefix}:site:{site}:token"

    def links(self, site: SiteId) -> str:
        """Hash: charger to `WORKER EPOCH`, the worker that holds its link."""
        return f"{self.prefix}:site:{site}:links"

    @property
    def epoch(self) -> str:
        """The newest epoch that a link was given."""
        return f"{self.prefix}:epoch"

    def commands(self, worker: str) -> str:
        """Stream: what a worker is told to do, in order; what it has done is deleted."""
        return f"{self.commands_prefix}{worker}"

    @property
    def commands_prefix(self) -> str:
        """Of `commands`, for scripts that find the worker themselves."""
        return f"{self.prefix}:to:"

    def worker(self, worker: str) -> str:
        """A sign of life of a worker; expires."""
        return f"{self.prefix}:worker:{worker}"

    def candidate(self, holder: str) -> str:
        """A sign of life of a controller process; expires."""
        return f"{self.prefix}:controller:{holder}"

    @property
    def candidates(self) -> str:
        """Set: the controller processes that were there lately."""
        return f"{self.prefix}:controllers"

    @property
    def spools(self) -> str:
        """Hash: the name of a proxy's spool of outages to what is in it."""
        return f"{self.prefix}:spools"

    @property
    def spool_times(self) -> str:
        """Hash: the name of a spool to when its proxy saw last that this is what is in it."""
        return f"{self.prefix}:spool-times"

    def spool_sign(self, name: str) -> str:
        """A sign of life of the proxy that has a spool; expires."""
        return f"{self.prefix}:spool:{name}"
