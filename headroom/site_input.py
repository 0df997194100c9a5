"""Site files as commands take them: read, checked and proven before anything starts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from domain.errors import HeadroomError
from domain.site import Site
from ems.failsafe import Proof, prove
from inventory.site_file import load_sites
from inventory.site_rules import url_problem


def read_sites(files: Sequence[Path], csms: str | None = None) -> tuple[Site, ...]:
    """The sites of these files, with `csms` as every site's CSMS where given.

    Raises:
        SiteFileError: a file cannot be used.
        HeadroomError: no file was given, or `csms` is no WebSocket URL.
    """
    if not files:
        raise HeadroomError("--site: no site file was given; example: headroom serve --site building.yaml")
    if csms is not None and (problem := url_problem(csms, ("ws", "wss"))) is not None:
        raise HeadroomError(f"--csms: {problem}")
    sites = load_sites(files)
    if csms is None:
        return sites
    return tuple(replace(site, csms=replace(site.csms, url=csms)) for site in sites)


def proofs(sites: Sequence[Site]) -> list[tuple[Site, Proof]]:
    """Each site with its fail-safe proof."""
    return [(site, prove(site)) for site in sites]
