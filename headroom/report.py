"""The end of a demo or a simulation: what it found, for people or machines, and whether that was clean."""

from collections.abc import Mapping

from rich.table import Table

from headroom.console import out, print_json

_LINES = (
    ("chargers", "chargers", "{:d}"),
    ("sessions", "sessions", "{:d}"),
    ("energy_delivered_kwh", "energy delivered", "{:.1f} kWh"),
    ("energy_requested_kwh", "energy requested", "{:.1f} kWh"),
    ("jain_index", "fairness (Jain)", "{:.3f}"),
    ("longest_wait_s", "longest wait", "{:.0f} s"),
    ("rotations", "turns passed on", "{:d}"),
    ("max_loading", "highest loading of any phase", "{:.1%}"),
    ("overload_seconds", "overload with EV load", "{:.0f} s"),
    ("base_overload_seconds", "overload by the building alone", "{:.0f} s"),
    ("breaker_trips", "breaker trips", "{:d}"),
    ("frames_relayed", "frames relayed", "{:d}"),
    ("frames_altered", "frames altered", "{:d}"),
    ("setpoints_sent", "limits sent", "{:d}"),
    ("setpoints_accepted", "limits accepted", "{:d}"),
)


def report_table(report: Mapping[str, object]) -> Table:
    """What people read; machines take `--json`."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, label, form in _LINES:
        if (value := report.get(name)) is not None:
            table.add_row(label, form.format(value))
    for name, label in (("decision_ms", "a decision takes"), ("start_to_limit_ms", "start to limit")):
        if isinstance(value := report.get(name), Mapping) and value.get("p50") is not None:
            table.add_row(label, f"{value['p50']:.1f} ms median, {value['p99']:.1f} ms p99")
    return table


def told(report: Mapping[str, object], *, as_json: bool) -> int:
    """Print a report. Returns the exit code: 1 if a phase was overloaded, a breaker tripped or a frame was altered."""
    if as_json:
        print_json(report)
    else:
        out.print(report_table(report))
    return 1 if report["overload_seconds"] or report["breaker_trips"] or report["frames_altered"] else 0
