"""The report as one HTML page that needs nothing else, and prints: answer first, then each EVSE, then what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from ems.failsafe import Proof
from headroom.commissioning.figures import svg
from headroom.commissioning.record import Finding, Record, Step, Verdict
from headroom.commissioning.site_api import Terms
from headroom.commissioning.visit import name_of

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;max-width:60rem;margin:2rem auto;padding:0 1rem;background:#fff}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.25rem;margin:2.2rem 0 .6rem}
h3{font-size:1.05rem;margin:1.6rem 0 .4rem}
.lead{font-size:1.1rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.v{font-weight:600;white-space:nowrap}.passed{color:#0b6b3a}.failed{color:#a3200d}.unclear,.skipped{color:#7a5200}
figure{margin:.8rem 0 1.4rem}figcaption{color:#444;font-size:.9rem}svg{max-width:100%;height:auto}
pre{background:#f5f5f5;padding:.8rem;overflow-x:auto;font-size:.85rem;white-space:pre-wrap}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.8rem 0}dt{color:#555}dd{margin:0}
footer{margin-top:2.5rem;border-top:1px solid #ccc;padding-top:.6rem;color:#555;font-size:.9rem;overflow-wrap:anywhere}
@media print{body{margin:0;max-width:none}figure,table{break-inside:avoid}h2,h3{break-after:avoid}@page{margin:18mm}}
"""
_SIGNS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.UNCLEAR: "?", Verdict.SKIPPED: "–"}


@dataclass(frozen=True)
class Report:
    """All that the page says. `proof` and `difference` are of the site file with what was found; None without one."""

    record: Record
    evses: Mapping[str, Terms]
    ended_at: datetime
    public_key: str
    proof: Proof | None
    difference: str | None


def html(report: Report) -> str:
    """The page, without its seal."""
    record = report.record
    body = [
        f"<h1>Commissioning of {escape(record.site)}</h1>",
        f'<p class="lead">{escape(answer(report))}</p>',
        _facts(report),
        "<h2>At a glance</h2>",
        _glance(report),
        *(_evse(report, evse) for evse in report.evses),
        "<h2>Fail-safe proof with what was found</h2>",
        _proof(report.proof),
        "<h2>What the site file should say</h2>",
        _difference(report.difference),
        "<h2>How it was found</h2>",
        *(f"<p>{escape(line)}</p>" for line in _METHOD),
        f"<footer>Sealed by the installation whose public key is {escape(report.public_key)} (Ed25519). "
        "<code>headroom commission verify</code> tells whether a character of this file was changed since, when it was "
        "sealed, and by whom.</footer>",
    ]
    title = f"Commissioning of {escape(record.site)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body>\n{chr(10).join(body)}\n</body></html>\n"
    )


def answer(report: Report) -> str:
    """The first sentence."""
    count = len(report.evses)
    proven = [evse for evse in report.evses if report.record.is_proven(evse)]
    failed = [evse for evse in report.evses if report.record.is_disproven(evse)]
    told = f"The fall-backs of {len(proven)} of {count} EVSEs were seen to hold without link, power and clock."
    if failed:
        told += f" Those of {', '.join(failed)} do not hold."
    if report.proof is not None:
        told += f" With what was found, the fail-safe proof {'holds' if report.proof.holds else 'does not hold'}."
    return told


def _facts(report: Report) -> str:
    record = report.record
    facts = {
        "Installer": record.installer,
        "Begun": f"{record.begun_at:%Y-%m-%d %H:%M} UTC",
        "Ended": f"{report.ended_at:%Y-%m-%d %H:%M} UTC",
        "Service": record.service,
    }
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()) + "</dl>"


def _verdict(finding: Finding | None) -> str:
    if finding is None:
        return '<span class="v skipped">– not done</span>'
    return f'<span class="v {finding.verdict}">{_SIGNS[finding.verdict]} {finding.verdict}</span>'


def _glance(report: Report) -> str:
    head = "".join(f"<th>{escape(name_of(step))}</th>" for step in Step)
    rows = []
    for evse in report.evses:
        cells = "".join(f"<td>{_verdict(report.record.of(evse, step))}</td>" for step in Step)
        proven = "proven" if report.record.is_proven(evse) else "not proven"
        rows.append(f"<tr><td>{escape(evse)}</td>{cells}<td>{proven}</td></tr>")
    return f"<table><tr><th>EVSE</th>{head}<th>fall-back</th></tr>{''.join(rows)}</table>"


def _evse(report: Report, evse: str) -> str:
    terms = report.evses[evse]
    wired = f"{'-'.join(terms.phases)} of {terms.feeder}: {terms.min_a:g} to {terms.max_a:g} A"
    parts = [
        f"<h2>{escape(evse)}</h2>",
        f"<p>{escape(f'{terms.charger}, connector {terms.connector}, on {wired}')}"
        f", fall-back {terms.failsafe_a:g} A after {terms.hold_s:g} s without a link.</p>",
    ]
    for step in Step:
        finding = report.record.of(evse, step)
        parts.append(f"<h3>{escape(name_of(step))}: {_verdict(finding)}</h3>")
        if finding is None:
            continue
        parts.append(f"<p>{escape(finding.text)}. <small>{finding.at:%Y-%m-%d %H:%M:%S} UTC</small></p>")
        figure = svg(finding)
        if figure is not None:
            parts.append(f"<figure>{figure}<figcaption>{escape(_caption(finding))}</figcaption></figure>")
    return "\n".join(parts)


def _caption(finding: Finding) -> str:
    told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in finding.figures.items())
    return f"{finding.evse}, {name_of(finding.step)}: {told}"


def _proof(proof: Proof | None) -> str:
    if proof is None:
        return "<p>No site file was given (<code>--site</code>), so that it could not be made.</p>"
    rows = "".join(
        f"<tr><td>{escape(line.feeder)}</td><td>{line.phase}</td><td>{escape(line.group or '')}</td>"
        f'<td class="n">{line.failsafe_a:.1f}</td><td class="n">{_amps(line.base_a)}</td>'
        f'<td class="n">{line.usable_a:.1f}</td><td>{"holds" if line.holds else "does not hold"}</td></tr>'
        for line in proof.lines
    )
    counted = "as written, as the site accepts" if proof.accepted else "at their full rating"
    unproven = (
        f"<p>Fall-backs that were not shown count {counted}: {escape(', '.join(proof.unproven))}.</p>"
        if proof.unproven
        else ""
    )
    head = "<th>feeder</th><th>phase</th><th>group</th>" + "".join(
        f'<th class="n">{name}, A</th>' for name in ("fall-backs", "base load", "usable")
    )
    return f"<table><tr>{head}<th></th></tr>{rows}</table>{unproven}"


def _amps(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1f}"


def _difference(difference: str | None) -> str:
    if difference is None:
        return "<p>No site file was given (<code>--site</code>).</p>"
    if not difference:
        return "<p>What it says.</p>"
    return (
        "<p>Nothing was changed. These lines follow from what was seen; look at them, change them, and restart the "
        f"service.</p><pre>{escape(difference)}</pre>"
    )


_METHOD: Sequence[str] = (
    "Phases and meter: the EVSE's limit was lowered and given back several times while a car charged. Each phase of "
    "the meter above it must move by about as many amperes, the same way, on the phases of the site file alone.",
    "Fall-backs: before its link was taken away, and after it was back, the charger told what it drew, so the rest of "
    "the building is known from the meter. What the meter showed beside that meanwhile is what the EVSE drew. It "
    "counts as proven only if that was within the fall-back for the whole time that is marked as judged, if the car "
    "had drawn clearly more before, and if it took more again afterwards.",
    "Power: the charger was switched off and on with its network out, after its fall-back was due. Clock: the same "
    "with its clock reset; where the power cut had reset it, as its own stamps showed, that test is the one.",
    "A link was only taken away while the panel had room for the EVSE at its full current.",
)
