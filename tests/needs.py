"""What tests need beside the packages: where it is missing they say so and are skipped, and in CI they fail."""

import importlib.util
import os
import shutil

import pytest


def needs_torch() -> None:
    """Torch can be imported."""
    _demand(importlib.util.find_spec("torch") is not None, "torch is not installed: `make setup TORCH=1` brings it")


def program(name: str, how: str) -> str:
    """The path of a program; `how` says how to get it."""
    found = shutil.which(name)
    _demand(found is not None, f"{name} is not installed: {how}")
    return found or ""


def _demand(found: bool, sentence: str) -> None:
    if not found and os.environ.get("CI"):
        pytest.fail(sentence)
    if not found:
        pytest.skip(sentence)
