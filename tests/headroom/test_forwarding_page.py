"""docs/forwarding.md says what the policy table says."""

from pathlib import Path

from headroom.forwarding_page import page


def test_the_page_is_current() -> None:
    written = (Path(__file__).parents[2] / "docs" / "forwarding.md").read_text()
    assert written == page(), "run: python -m headroom.forwarding_page > docs/forwarding.md"
