"""The API keeps to its own description: whatever is asked, no 5xx and no answer that is not documented.

Schemathesis makes the requests from /openapi.json. Everything runs in this process, so that an answer can also be
blamed on a line.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from api_world import a_house
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from headroom.api.advice import ADVICE
from headroom.api.description import description
from headroom.api.permissions import REQUIRED

EXAMPLES = 12


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A house with its API on a socket, in a thread with a loop of its own."""
    ready, stop, found = threading.Event(), asyncio.Event(), {}

    async def live() -> None:
        async with a_house() as house:
            server = uvicorn.Server(uvicorn.Config(house.app, port=0, log_config=None, lifespan="off"))
            serving = asyncio.get_running_loop().create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.02)
            found["url"] = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
            found["loop"] = asyncio.get_running_loop()
            ready.set()
            await stop.wait()
            house.service.feed.close()
            server.should_exit = True
            await serving

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    assert ready.wait(30)
    yield str(found["url"])
    found["loop"].call_soon_threadsafe(stop.set)
    thread.join(30)


@pytest.fixture(scope="module")
def api(url: str) -> Any:
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


OPERATIONS = [(method, path) for method, path in REQUIRED if not path.endswith("/events")]
"""The event stream does not end."""


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=" ".join)
def test_no_answer_is_undocumented(api: Any, method: str, path: str) -> None:
    @given(case=api[path][method].as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        response = case.call(timeout=20)
        assert response.status_code < 500 or (path == "/readyz" and response.status_code == 503), response.text
        case.validate_response(
            response, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
        )

    ask()


def test_every_operation_says_what_it_is_for_and_bodies_have_an_example(api: Any) -> None:
    document = api.raw_schema
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            assert operation.get("description") or operation.get("summary"), (verb, path)
            assert {"401", "403", "422", "429"} <= set(operation["responses"]), (verb, path)
    examples = {name for name, one in document["components"]["schemas"].items() if "example" in one}
    assert {"Reading", "LimitRequest", "SessionWishes", "StrategyRequest", "TokenRequest", "DriverWishes"} <= examples


def test_the_description_can_be_had_without_a_service(api: Any) -> None:
    assert json.loads(asyncio.run(description())) == api.raw_schema


def test_the_advice_of_the_api_is_the_runbook_s() -> None:
    import re
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text().partition("## Log events")[0]
    rows = {kind: (means, do) for kind, means, do in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", text, re.M)}
    assert rows == dict(ADVICE)
