"""Question and answer come out of their bytes as they went in, whatever a snapshot may hold."""

from dataclasses import replace

import numpy as np
from decisions import ask, panel
from hypothesis import given, settings
from hypothesis import strategies as st
from site_strategies import T0, seconds, sites, snapshot, snapshots, view

from domain.ids import DecisionId
from domain.metering import EvseSample
from domain.quirks import Quirks
from domain.snapshot import TemporaryLimit
from ems.problem import Outlook
from headroom.question import Question, pack, pack_answer, unpack, unpack_answer

numbers = st.floats(allow_nan=False)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_snapshot_is_the_same_on_the_other_side(data):
    site = data.draw(sites())
    snap = data.draw(snapshots(site))
    first = site.evses[0].id
    sample = EvseSample(T0, T0 + seconds(0.000001), data.draw(st.none() | numbers), tuple(data.draw(st.lists(numbers))))
    quirks = Quirks(level=8, proven=("station cap",), unit="W", probed_at=T0)
    limit = TemporaryLimit("l1", site.feeders[0].id, data.draw(numbers), T0, None, data.draw(st.text()))
    evses = dict(snap.evses) | {first: replace(snap.evses[first], sample=sample, quirks=quirks)}
    snap = replace(snap, evses=evses, limits=(limit,))
    question = Question(snap, data.draw(st.text()), DecisionId("d"))
    assert unpack(pack(question), site) == question


def test_a_plan_s_word_goes_along():
    planned_a = np.array([0.0, 16.5, np.inf])
    site = panel(3)
    snap = snapshot(site, {"e0": view("e0", 20.0)})
    came = unpack(pack(Question(snap, "", DecisionId("d"), Outlook(planned_a))), site)
    assert came.outlook is not None
    assert came.outlook.planned_a.dtype == np.float64
    assert came.outlook.planned_a.tolist() == planned_a.tolist()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_decision_is_the_same_on_the_other_side(data):
    decision = ask(data.draw(snapshots(data.draw(sites()))))
    assert unpack_answer(pack_answer(decision)) == decision
