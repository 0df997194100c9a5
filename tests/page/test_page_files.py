"""How the page's files are served, built or not."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from headroom.api import page


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Headroom</title>")
    (tmp_path / "assets" / "index-1a2b3c.js").write_text("1;")
    (tmp_path / "favicon.svg").write_text("<svg/>")
    (tmp_path.parent / "secret.js").write_text("no")
    return tmp_path


def client(folder: Path) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(page.router(folder))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here")


async def test_the_page_is_asked_for_each_time_and_its_parts_are_kept_for_ever(built: Path) -> None:
    async with client(built) as here:
        for place in ("/", "/driver/a-link"):
            answer = await here.get(place)
            assert "<title>" in answer.text
            assert answer.headers["cache-control"] == "no-cache"
        script = await here.get("/assets/index-1a2b3c.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in script.headers["cache-control"]
        assert (await here.get("/favicon.svg")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/assets/none.js", "/none.svg", "/assets/..%2Fsecret.js", "/assets/%2e%2e/secret.js", "/..%2fsecret.js", "/x"],
)
async def test_nothing_else_is_served(built: Path, path: str) -> None:
    async with client(built) as here:
        assert (await here.get(path)).status_code == 404


async def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    async with client(tmp_path) as here:
        answer = await here.get("/")
        assert answer.status_code == 200
        assert "<title>" in answer.text
        assert "make setup" in answer.text
