"""Site files, meter payloads and tokens, mutated: refused, or harmless. The same targets as `fuzz_inputs.py` runs."""

import base64
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from input_targets import TARGETS, mutant, oidc_token, seeds, site_file

from inventory.site_file import site_problems

COUNTS = {"oidc": 150, "csv": 150, "site": 60}


@pytest.mark.parametrize("target", TARGETS)
def test_good_inputs_pass_and_so_do_their_mutants(target: str) -> None:
    rng, corpus = random.Random(11), seeds(target)
    for seed in corpus:
        TARGETS[target](seed)
    for _ in range(COUNTS.get(target, 1500)):
        raw = mutant(rng, rng.choice(corpus))
        try:
            TARGETS[target](raw)
        except Exception as error:
            raise AssertionError(f"{target}: {raw[:500]!r}") from error


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_few_changes_are_harmless(target: str, data: st.DataObject) -> None:
    """The same, so that a failure is shrunk."""
    raw = data.draw(st.sampled_from(seeds(target)) | st.binary(max_size=200))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(raw)))
        raw = raw[:at] + data.draw(st.binary(max_size=6)) + raw[at + data.draw(st.integers(0, 6)) :]
    TARGETS[target](raw)


@pytest.mark.parametrize("name", [".", "..", "a/b", "a\\0b"])
def test_a_charger_is_not_named_like_a_folder(name: str) -> None:
    """`{identity}` stands in names of files, and the identity ends the CSMS's address."""
    good = seeds("site")[1].decode()
    assert not site_problems(good, "site.yaml")
    text = good.replace("CP", f'"{name}"')
    assert any("chargers[0].id: found" in str(problem) for problem in site_problems(text, "x"))
    site_file(text.encode())


def test_a_token_nested_without_end_is_no_token() -> None:
    for depth in (100, 1_000, 20_000):
        deep = base64.urlsafe_b64encode(b'{"a":' * depth).rstrip(b"=")
        oidc_token(deep + b".e30.AA")
        oidc_token(b"e30." + deep + b".AA")
