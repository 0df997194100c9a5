"""What tests need beside the packages: where it is missing they say so and are skipped, and in CI they fail."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_NODE = "`make setup` does it where Node 20.19 or newer is present"


def needs_torch() -> None:
    """Torch can be imported."""
    _demand(importlib.util.find_spec("torch") is not None, "torch is not installed: `make setup TORCH=1` brings it")


def needs_traces() -> None:
    """OpenTelemetry's SDK can be imported; to be called at a module's top."""
    found = importlib.util.find_spec("opentelemetry") is not None
    _demand(found, "OpenTelemetry is not installed: `make setup` brings it with the extra 'traces'", whole_module=True)


def program(name: str, how: str) -> str:
    """The path of a program; `how` says how to get it."""
    found = shutil.which(name)
    _demand(found is not None, f"{name} is not installed: {how}")
    return found or ""


def postgresql() -> str:
    """The URL of a PostgreSQL server on which databases may be made."""
    import psycopg

    url = os.environ.get("HEADROOM_TEST_DATABASE_URL", "postgresql://127.0.0.1/postgres")
    try:
        psycopg.connect(url, connect_timeout=5).close()
        trouble = None
    except psycopg.OperationalError as error:
        trouble = f"no PostgreSQL answers: {error}. Start one, or name it by HEADROOM_TEST_DATABASE_URL"
    _demand(trouble is None, trouble or "")
    return url


def redis() -> str:
    """The URL of a Redis."""
    import redis as client

    url = os.environ.get("HEADROOM_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    try:
        with client.Redis.from_url(url, socket_connect_timeout=5) as one:
            one.ping()
        trouble = None
    except client.RedisError as error:
        trouble = f"no Redis answers: {error}. Start one, or name it by HEADROOM_TEST_REDIS_URL"
    _demand(trouble is None, trouble or "")
    return url


def built_page() -> None:
    """The page lies beside the API, as `make setup` builds it."""
    _demand((_ROOT / "headroom" / "page" / "index.html").is_file(), f"the page is not built: {_NODE}")


def page_packages() -> Path:
    """The folder of the page's own packages: axe, and what checks and builds the page."""
    found = _ROOT / "dashboard" / "node_modules"
    _demand((found / ".package-lock.json").is_file(), f"the page's packages are not installed: {_NODE}")
    return found


def _demand(found: bool, sentence: str, *, whole_module: bool = False) -> None:
    if not found and os.environ.get("CI"):
        pytest.fail(sentence)
    if not found:
        pytest.skip(sentence, allow_module_level=whole_module)
