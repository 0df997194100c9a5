"""What is told of a decision."""

import pytest

from headroom.notices import told_triggers


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "interval"),
        (1, "e0"),
        (8, "e0, e1, e2, e3, e4, e5, e6, e7"),
        (500, "e0, e1, e2, e3, e4, e5, e6, e7 and 492 more"),
    ],
)
def test_reasons_are_as_many_as_a_person_reads(count: int, told: str) -> None:
    assert told_triggers([f"e{number}" for number in range(count)]) == told
