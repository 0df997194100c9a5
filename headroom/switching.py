"""Strategy and scheduler as people switch them at run time."""

from dataclasses import replace
from typing import Any, get_args, get_type_hints

import structlog

from domain.site import SchedulerSettings, Site, Strategy
from headroom.control_loop import SiteController
from inventory.records import OverrideRecord

log = structlog.get_logger()

STRATEGIES: tuple[str, ...] = get_args(Strategy)
SCHEDULERS: tuple[str, ...] = get_args(get_type_hints(SchedulerSettings)["kind"])


def as_switched(site: Site, override: OverrideRecord) -> Site:
    """The site file's site with the override's strategy and scheduler.

    A name that this version does not know (the database is an older or newer one's) is left out with a warning.
    """
    strategy: Any = _known("strategy", override.strategy, STRATEGIES) or site.strategy
    kind: Any = _known("scheduler", override.scheduler, SCHEDULERS) or site.scheduler.kind
    return replace(site, strategy=strategy, scheduler=replace(site.scheduler, kind=kind))


def _known(what: str, name: str | None, allowed: tuple[str, ...]) -> str | None:
    if name is None or name in allowed:
        return name
    log.warning("switch_not_known", what=what, name=name, allowed=allowed)
    return None


async def switch(controller: SiteController, *, strategy: str | None, scheduler: str | None) -> None:
    """Decide by another strategy or scheduler from now on, after a restart too; None follows the site file.

    Nothing is switched where the decider raises.
    """
    override = OverrideRecord(controller.site.id, strategy, scheduler)
    await controller.run_as(as_switched(controller.filed, override))
    records = controller.picture.live.set_override(strategy=strategy, scheduler=scheduler)
    site = controller.site
    controller.change(records, f"decided by {site.strategy}, admitted by {site.scheduler.kind}")


async def resume(controller: SiteController) -> None:
    """Take up what was switched before a restart."""
    site = as_switched(controller.filed, controller.picture.live.override)
    if site != controller.site:
        await controller.run_as(site)
