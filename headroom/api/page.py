"""The page's files as `deploy/page.sh` built them; without them `/` says how to build it."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException

BUILT = Path(__file__).parents[1] / "page"
"""Where the build lies: inside the package, so that it is shipped with it."""

_UNBUILT = """<!doctype html><html lang="en"><title>Headroom</title>
<p>Headroom is running. Its REST API is described at <a href="/openapi.json">/openapi.json</a>.
<p>The page is not built here: run <code>make setup</code> where Node 20.19 or newer is installed, and start again."""

_FOR_EVER = "public, max-age=31536000, immutable"
"""For files whose name changes with what is in them."""
_ASK_AGAIN = "no-cache"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
"""All that a build has beside its document; nothing else is served."""


def router(built: Path = BUILT) -> APIRouter:
    """`/`, the driver's view at `/driver/{link}`, and the files that both are made of."""
    routes = APIRouter()
    index = built / "index.html"

    def document() -> Response:
        if not index.is_file():
            return HTMLResponse(_UNBUILT, headers={"Cache-Control": _ASK_AGAIN})
        return FileResponse(index, headers={"Cache-Control": _ASK_AGAIN})

    @routes.get("/", include_in_schema=False)
    async def page() -> Response:
        return document()

    @routes.get("/driver/{link}", include_in_schema=False)
    async def driver(link: str) -> Response:  # noqa: ARG001 - the page itself reads it from its address
        return document()

    @routes.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        return _file(built / "assets" / name, _FOR_EVER)

    @routes.get("/{name}", include_in_schema=False)
    async def beside(name: str) -> Response:
        return _file(built / name, _ASK_AGAIN)

    return routes


def _file(path: Path, cached: str) -> Response:
    if path.suffix not in _TYPES or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, headers={"Cache-Control": cached}, media_type=_TYPES[path.suffix])
