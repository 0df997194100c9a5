"""Sampled values of every shape seen in the field -> one sample of an EVSE."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import ChargerId, EvseId, FeederId
from domain.site import PHASES, Evse
from proxy.protocol.messages import entries, newest_201, sampled_16, sampled_201
from proxy.protocol.metering import MeterValue, SampledValue, energy_wh, newest, read_any_sample, read_sample

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
V_LL = 208.0
V_LN = V_LL / math.sqrt(3.0)


def evse(conductors: int = 1, max_a: float = 32.0) -> Evse:
    return Evse(EvseId("P1"), ChargerId("CP"), 1, FeederId("p1"), PHASES[:conductors], max_a=max_a)


def current(value: float | None, phase: str | None = None, unit: str | None = "A") -> SampledValue:
    return SampledValue(value, "Current.Import", phase, unit)


def power(value: float, phase: str | None = None, unit: str | None = "W") -> SampledValue:
    return SampledValue(value, "Power.Active.Import", phase, unit)


def volts(value: float, phase: str | None = None) -> SampledValue:
    return SampledValue(value, "Voltage", phase, "V")


def sample(values, conductors: int = 1, phases_used: int | None = None):
    return read_sample(MeterValue(AT, tuple(values)), evse(conductors), V_LL, AT, phases_used)


@pytest.mark.parametrize(
    ("values", "conductors", "current_a", "line_a"),
    [
        pytest.param([current(16.0)], 1, 16.0, (), id="unphased"),
        pytest.param([current(16.0, "L1")], 2, 16.0, (16.0,), id="two-leg, L1 only"),
        pytest.param([current(16.0, "L1"), current(16.0, "L2")], 2, 16.0, (16.0, 16.0), id="two-leg, never added"),
        pytest.param([current(16.0, "L1-L2")], 2, 16.0, (16.0,), id="line-to-line name"),
        pytest.param([current(9.8, f"L{n}-N") for n in (1, 2, 3)], 3, 9.8, (9.8,) * 3, id="Ln-N names"),
        pytest.param([current(v, f"L{n}") for n, v in ((1, 6), (2, 16), (3, 7))], 3, 16.0, (6, 16, 7), id="largest"),
        pytest.param([current(15.6, "N")], 1, 15.6, (), id="under phase N alone"),
        pytest.param([current(10.0, "L1"), current(12.0, "N")], 1, 10.0, (10.0,), id="N beside a line"),
        pytest.param([current(0.0, "L1"), current(12.0, "N")], 1, 12.0, (0.0,), id="N beside a silent line"),
        pytest.param([current(10.0, "L2")], 2, 10.0, (), id="a gap at L1 gives no lines"),
        pytest.param([current(8000.0, None, "mA")], 1, 8.0, (), id="mA"),
        pytest.param([current(8.0, None, "")], 1, 8.0, (), id="empty unit"),
        pytest.param([current(-0.04)], 1, 0.0, (), id="noise around nothing"),
        pytest.param([current(16.0), power(3000.0)], 1, 16.0, (), id="current before power"),
        pytest.param([power(1200.9)], 1, 1200.9 / V_LN, (), id="power, line to neutral"),
        pytest.param([power(3.3, None, "kW")], 2, 3300 / V_LL, (), id="power, line to line, kW"),
        pytest.param([power(1650.0, "L1"), power(1650.0, "L2")], 2, 3300 / V_LL, (), id="power per leg"),
        pytest.param([power(6.0, None, "kW")], 3, 6000 / (3 * V_LN), (), id="power over three phases"),
        pytest.param([power(2.0, f"L{n}", "kW") for n in (1, 2, 3)], 3, 2000 / V_LN, (), id="kW per phase, no total"),
        pytest.param([power(3.0, "L1", "kW")], 3, 3000 / V_LN, (), id="power on one of three"),
        pytest.param([power(3300.0), volts(200.0)], 2, 16.5, (), id="measured voltage"),
        pytest.param([power(3300.0), volts(120.0, "L1-N")], 2, 3300 / V_LL, (), id="leg voltage of a two-leg charger"),
    ],
)
def test_current(values, conductors, current_a, line_a):
    read, dropped = sample(values, conductors)
    assert read is not None
    assert read.current_a == pytest.approx(current_a)
    assert read.line_a == pytest.approx(line_a)
    assert dropped == 0


def test_power_over_the_phases_that_are_used():
    read, _ = sample([power(2000.0)], 3, phases_used=1)
    assert read is not None
    assert read.current_a == pytest.approx(2000 / V_LN)


def test_everything_else():
    values = [
        SampledValue(733.255884, unit="kWh"),
        SampledValue(16.0, "Current.Offered", None, "A"),
        SampledValue(25.0, "SoC", None, "Percent", "EV"),
        SampledValue(49.95, "Frequency"),
        SampledValue(-0.147, "Power.Factor"),
        power(0.0, None, "kW"),
        volts(241.9, "L1"),
    ]
    read, dropped = sample(values, 3)
    assert read is not None
    assert (read.energy_wh, read.offered_a, read.soc, read.voltage_v) == (pytest.approx(733255.884), 16.0, 25.0, 241.9)
    assert (read.current_a, read.power_w, dropped) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    "bad",
    [
        current(-5.0),
        current(321.0),
        current(None),
        current(16.0, None, "furlongs"),
        current(90.0, None, "Percent"),
        power(-4000.0),
        power(1e9),
        SampledValue(-1.0),
        SampledValue(1e15),
        SampledValue(101.0, "SoC", None, "Percent"),
        SampledValue(1e5, "Voltage", None, "V"),
        sampled_201({"value": 1, "measurand": "Current.Import", "unitOfMeasure": {"multiplier": 99}}).plain(),
    ],
)
def test_what_cannot_be_true_is_dropped_and_counted(bad):
    read, dropped = sample([bad])
    assert (read, dropped) == (None, 1)
    read, dropped = sample([bad, current(7.0)])
    assert read is not None
    assert (read.current_a, dropped) == (7.0, 1)


def test_unknown_measurands_are_no_nonsense():
    assert sample([SampledValue(3.0, "Vendor.Strange", None, "parsec")]) == (None, 0)


def test_the_inlet_of_a_charger_is_not_its_outlet():
    inlet = SampledValue(30.0, "Current.Import", None, "A", "Inlet")
    outlet = SampledValue(10.0, "Current.Import", None, "A", "Outlet")
    assert sample([inlet, outlet])[0].current_a == 10.0
    assert sample([inlet])[0].current_a == 30.0


def test_register_over_lines_only_without_a_total():
    lines = [SampledValue(100.0, phase=f"L{n}", unit="Wh") for n in (1, 2, 3)]
    assert energy_wh(lines) == 300.0
    assert energy_wh([*lines, SampledValue(299.0)]) == 299.0
    assert energy_wh([]) is None


def test_only_the_newest_values_of_a_message_count():
    def entry(seconds: float, value: str) -> dict[str, object]:
        stamp = (AT + timedelta(seconds=seconds)).isoformat()
        return {"timestamp": stamp, "sampledValue": [{"value": value, "measurand": "Current.Import"}]}

    told = entries([entry(0, "32"), entry(60, "6"), entry(58, "7"), {"sampledValue": 3}, None], sampled_16)
    stamp, values = newest(told)
    assert stamp == AT + timedelta(seconds=60)
    assert [value.value for value in values] == [6.0, 7.0]


def test_a_201_unit_has_a_power_of_ten():
    raw = {"value": 3.3, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W", "multiplier": 3}}
    assert sample([sampled_201(raw).plain()], 2)[0].power_w == pytest.approx(3300.0)
    assert sampled_201({"value": 1.0, "unitOfMeasure": {"multiplier": "many"}}).plain().value is None
    told = newest_201(entries([{"timestamp": AT.isoformat(), "sampledValue": [raw]}], sampled_201))
    assert (told.stamp, told.values) == (AT, [SampledValue(3300.0, "Power.Active.Import", None, "W")])


VALUES = st.builds(
    SampledValue,
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "Current.Import",
            "Current.Offered",
            "Power.Active.Import",
            "Voltage",
            "SoC",
            "Energy.Active.Import.Register",
            "X",
        ]
    ),
    st.sampled_from([None, "L1", "L2", "L3", "N", "L1-N", "L1-L2", "L9", ""]),
    st.sampled_from([None, "A", "mA", "W", "kW", "V", "Wh", "kWh", "Percent", "?"]),
    st.sampled_from([None, "Outlet", "Inlet", "EV"]),
)


@given(st.lists(VALUES, max_size=8), st.integers(1, 3), st.sampled_from([None, 1, 2, 3]))
def test_any_values_give_a_believable_sample(values, conductors, phases_used):
    read, dropped = sample(values, conductors, phases_used)
    assert 0 <= dropped <= len(values)
    if read is not None:
        told = [read.current_a, read.power_w, read.energy_wh, read.voltage_v, read.offered_a, read.soc, *read.line_a]
        assert all(value is None or (math.isfinite(value) and value >= 0.0) for value in told)
        assert read.offered_a is None or read.offered_a <= 320.0
        # A current that was told is believed up to ten times the rating, and lines never add up to more than it.
        if read.line_a and read.current_a is not None:
            assert read.current_a >= max(read.line_a)


@given(st.floats(0.0, 40.0), st.sampled_from([("L1",), (None,), ("L1", "L2"), ("L1-N", "L2-N"), ("N",)]))
def test_a_two_leg_current_is_never_added(amps, phases):
    read, _ = sample([current(amps, phase) for phase in phases], 2)
    assert read is not None
    assert read.current_a == pytest.approx(amps)


PLAIN = st.builds(
    SampledValue,
    st.none() | st.floats(-5.0, 500.0),
    st.sampled_from(["Current.Import", "Power.Active.Import", "Voltage", "SoC", "Current.Offered", "Frequency"]),
    st.sampled_from([None] * 9 + ["L1", "N"]),
    st.sampled_from([None, None, "A", "W", "V", "%", "kW"]),
    st.sampled_from([None] * 9 + ["Inlet", "Outlet"]),
)


@given(st.lists(PLAIN, max_size=6), st.integers(1, 3))
def test_the_short_way_of_overall_values_tells_the_same(values, conductors):
    where, message = evse(conductors), MeterValue(AT, values)
    assert read_sample(message, where, V_LL, AT) == read_any_sample(message, where, V_LL, AT, None)
