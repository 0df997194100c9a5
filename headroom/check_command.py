"""`headroom check`: a site file read, drawn and proven."""

from pathlib import Path
from typing import Annotated

import typer
from rich.tree import Tree

from domain.ids import FeederId
from domain.site import Feeder, Site
from ems.capacity_gain import capacity_gain
from ems.failsafe import Proof, prove, render
from headroom.console import out, print_json
from headroom.site_input import read_sites


def check(
    file: Annotated[Path, typer.Argument(help="site file (YAML)")],
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Validate a site file, draw the panel tree and print the fail-safe proof phase by phase.

    Exit code 1 where the proof does not hold, 2 where the file cannot be used. Example: headroom check building.yaml
    """
    (site,) = read_sites([file])
    proof = prove(site)
    if json:
        print_json(as_json(site, proof))
    else:
        out.print(panel_tree(site))
        out.print(render(proof), markup=False)
        out.print(str(capacity_gain(site)), markup=False)
    raise typer.Exit(0 if proof.holds else 1)


def as_json(site: Site, proof: Proof) -> dict[str, object]:
    """The proof for machines: one line per feeder, phase and group; and what the phasor form gives."""
    gain = capacity_gain(site)
    return {
        "site": site.id,
        "holds": proof.holds,
        "chargers": len(site.chargers),
        "evses": len(site.evses),
        "lines": [
            {
                "feeder": line.feeder,
                "phase": line.phase,
                "group": line.group,
                "failsafe_a": line.failsafe_a,
                "base_a": line.base_a,
                "usable_a": line.usable_a,
                "holds": line.holds,
            }
            for line in proof.lines
        ],
        "must_be_zero": list(proof.must_be_zero),
        "unproven": list(proof.unproven),
        "capacity": {
            "arithmetic_kw": gain.arithmetic_kw,
            "phasor_kw": gain.phasor_kw,
            "phasor_gain_frac": gain.gain_frac,
        },
    }


def panel_tree(site: Site) -> Tree:
    """The one-line diagram: panels with their EVSEs below."""
    tree = Tree(f"[bold]{site.id}[/bold]  {site.strategy} + {site.scheduler.kind}, {site.electrical.model} form")
    _add(tree, site, site.root.id)
    return tree


def _add(branch: Tree, site: Site, feeder_id: FeederId) -> None:
    feeder = site.feeder(feeder_id)
    below = branch.add(_label(feeder))
    for evse in site.evses:
        if evse.feeder == feeder_id:
            proven = "proven" if evse.failsafe_proven else "unproven"
            below.add(
                f"{evse.id}  {evse.charger}/{evse.connector}  {'-'.join(evse.phases)}  "
                f"{evse.min_a:g}-{evse.max_a:g} A, fall-back {evse.failsafe_a:g} A ({proven})"
            )
    for child in site.children(feeder_id):
        _add(below, site, child.id)


def _label(feeder: Feeder) -> str:
    kind = f"meter {feeder.meter}" if feeder.meter else "dedicated"
    phases = "".join(feeder.phases)
    return f"[bold]{feeder.id}[/bold]  {phases}  {feeder.rating_a:g} A, {feeder.usable_a:g} A usable, {kind}"
