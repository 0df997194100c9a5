"""`headroom commission`: an installer goes through a live site, and gets a sealed report."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from domain.errors import HeadroomError

if TYPE_CHECKING:
    from ems.failsafe import Proof
    from headroom.commissioning.record import Record, Step
    from headroom.commissioning.visit import Visit

app = typer.Typer()


@app.callback(invoke_without_command=True)
def commission(
    context: typer.Context,
    api: Annotated[str, typer.Option(help="address of the running service")] = "http://127.0.0.1:8080",
    token_file: Annotated[Path | None, typer.Option(help="file with an operator's token; nothing else in it")] = None,
    token: Annotated[str | None, typer.Option(help="the token itself: others on this machine can see it")] = None,
    site_id: Annotated[str | None, typer.Option(help="which site, where the token sees several")] = None,
    site: Annotated[Path | None, typer.Option(help="site file, for the proof and the lines to change")] = None,
    installer: Annotated[str, typer.Option(help="your name, for the report")] = "",
    evse: Annotated[list[str] | None, typer.Option(help="this EVSE only; may be given several times")] = None,
    again: Annotated[list[str] | None, typer.Option(help="do again what has passed: meter, link, power, clock")] = None,
    answers: Annotated[Path | None, typer.Option(help="file of answers (YAML) instead of a person")] = None,
    state: Annotated[Path, typer.Option(help="what was found so far: go on with it")] = Path("commissioning.json"),
    report: Annotated[Path, typer.Option(help="the report to write")] = Path("commissioning.html"),
    watch: Annotated[float, typer.Option(help="how long a fall-back must be seen, s", min=30, max=3600)] = 60.0,
    power_watch: Annotated[
        float, typer.Option(help="how long after a power cut or a clock reset, s", min=60, max=7200)
    ] = 300.0,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Go through every EVSE of a running site: identity, phases and meter, link, power, clock. Breaking off is fine.

    Exit code 1 where not every fall-back was shown. Nothing is changed but the report and the state file.
    Example: headroom commission --api http://192.168.1.10:8080 --token-file token.txt --site building.yaml
    """
    if context.invoked_subcommand is not None:
        return
    from headroom.commissioning.watching import Pace

    text = _token(token, token_file)
    pace = Pace(watch_s=watch, power_watch_s=power_watch)
    chosen = (evse or [], _steps(again or []))
    found = asyncio.run(_visit(api, text, site_id, site, installer, chosen, answers, state, report, pace, quiet=json))
    if json:
        from headroom.console import print_json

        print_json(found)
    raise typer.Exit(0 if found["proven_all"] else 1)


@app.command()
def verify(
    report: Annotated[Path, typer.Argument(help="a report of `headroom commission`")],
    key: Annotated[str | None, typer.Option(help="public key that it must be of: GET /api/v1/seal-key")] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Tell whether a report is as it was sealed, when that was, and by whom. Exit code 1 where it is not.

    Without --key anybody's seal counts, and the key is printed: compare it with the installation's.
    Example: headroom commission verify commissioning.html --key 3q2+7w==
    """
    from headroom.commissioning.seal import verified
    from headroom.console import out, print_json

    try:
        content = report.read_bytes()
    except OSError as error:
        raise HeadroomError(f"{report}: cannot be read: {error.strerror}") from None
    try:
        seal = verified(content, key)
    except HeadroomError as error:
        if json:
            print_json({"genuine": False, "why": str(error)})
        else:
            out.print(f"{report}: {error}", markup=False)
        raise typer.Exit(1) from None
    told = {"site": seal.site, "at": seal.at.isoformat(), "by": seal.by, "public_key": seal.public_key}
    if json:
        print_json({"genuine": True, **told})
        return
    known = "of the key that you gave" if key else f"of the key {seal.public_key}; compare it"
    out.print(f"{report}: unchanged since {told['at']}, site {seal.site}, shown by {seal.by}, {known}", markup=False)


def _token(token: str | None, file: Path | None) -> str | None:
    if file is None:
        return token
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise HeadroomError(f"--token-file {file}: cannot be read: {error}") from None


def _steps(names: list[str]) -> "list[Step]":
    from headroom.commissioning.record import Step

    try:
        return [Step(name) for name in names]
    except ValueError:
        raise HeadroomError(f"--again: must be of {', '.join(Step)}, not {', '.join(names)}") from None


async def _visit(
    api: str,
    token: str | None,
    site_id: str | None,
    site: Path | None,
    installer: str,
    chosen: "tuple[list[str], list[Step]]",
    answers: Path | None,
    state: Path,
    report: Path,
    pace: Any,
    *,
    quiet: bool,
) -> dict[str, Any]:
    import httpx

    from headroom.commissioning.asking import Answers, Person
    from headroom.commissioning.record import Record, load
    from headroom.commissioning.site_api import SiteApi
    from headroom.commissioning.visit import Visit, terms_of
    from headroom.console import err
    from headroom.settings import Settings

    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    clock = Settings.from_environment().clock()
    asker = Person(err) if answers is None else Answers.read(answers, None if quiet else err)
    async with httpx.AsyncClient(base_url=api, headers=headers, trust_env=False) as client:
        service = await SiteApi.of_only_site(client, site_id)
        evses = terms_of(await service.terms())
        record = load(state, service.site) or Record(service.site, installer, api, clock.now())
        visit = Visit(service, asker, clock, record, evses, pace)
        return await carried_out(visit, chosen, state, report, site)


async def carried_out(
    visit: "Visit", chosen: "tuple[list[str], list[Step]]", state: Path, report: Path, site: Path | None
) -> dict[str, Any]:
    """Do what is left of a visit, keep each finding, and write the sealed report; what came of it, for JSON."""
    from headroom.commissioning.record import save

    try:
        for terms, step in visit.to_do(*chosen):
            await visit.carry_out(terms, step)
            save(visit.record, state)
    finally:
        if visit.record.findings:
            difference = await _write(visit, report, site)
    if not visit.record.findings:
        raise HeadroomError("nothing was done: every step had passed before; name it with --again")
    return told(visit.record, list(visit.evses), report, difference)


def told(record: "Record", evses: list[str], report: Path, difference: str | None) -> dict[str, Any]:
    """What a visit came to, for JSON."""
    return {
        "site": record.site,
        "proven_all": all(record.is_proven(one) for one in evses),
        "evses": {
            one: {
                "proven": record.is_proven(one),
                "disproven": record.is_disproven(one),
                "steps": {
                    found.step: {"verdict": found.verdict, "text": found.text, **found.figures}
                    for found in record.findings.values()
                    if found.evse == one
                },
            }
            for one in evses
        },
        "report": str(report),
        "site_file_difference": difference,
    }


async def _write(visit: "Visit", file: Path, site: Path | None) -> str | None:
    """Write the sealed report; returns the lines that the site file should change."""
    from headroom.commissioning.page import Report, answer, html
    from headroom.commissioning.seal import digest_of, with_seal

    proof, lines = (None, None) if site is None else _judged(visit, site)
    key = (await visit.api.get("/seal-key"))["public_key"]
    made = Report(visit.record, visit.evses, visit.clock.now(), key, proof, lines)
    page = html(made)
    sealed = with_seal(page, await visit.api.sealed(digest_of(page)))
    _put(file, sealed)
    visit.asker.tell(answer(made))
    if lines:
        visit.asker.tell(f"The site file should change, and was not changed:\n{lines}")
    visit.asker.tell(f"report: {file}")
    return lines


def _judged(visit: "Visit", site: Path) -> "tuple[Proof, str]":
    """The fail-safe proof with what was found, and the lines of the site file that should change."""
    from ems.failsafe import prove
    from headroom.commissioning.site_lines import changed, difference, with_proven
    from inventory.site_file import load_site

    proven = visit.record.proven(visit.evses)
    text = site.read_text(encoding="utf-8")
    lines = difference(text, changed(text, str(site), proven), str(site))
    return prove(with_proven(load_site(site), proven)), lines


def _put(file: Path, text: str) -> None:
    """Write a report; nobody else waits for this program."""
    file.write_text(text, encoding="utf-8")
