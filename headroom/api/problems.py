"""Errors as RFC 9457 problem documents: each says what to do."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from domain.errors import HeadroomError, StorageError, UnknownIdError
from inventory.queries import BadCursorError

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457 section 3.1."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class ApiError(HeadroomError):
    """A request that cannot be served as it is."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.title, self.detail, self.headers = status, title, detail, headers
        super().__init__(detail)


def _answer(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    # A text of the request may hold what UTF-8 cannot.
    problem = Problem(title=title, status=status, detail=detail.encode(errors="replace").decode())
    return JSONResponse(problem.model_dump(), status, dict(headers or {}), media_type=MEDIA_TYPE)


def problem_response(error: HeadroomError) -> JSONResponse:
    """What a caller is told of an error of ours."""
    match error:
        case ApiError():
            return _answer(error.status, error.title, error.detail, error.headers)
        case UnknownIdError():
            return _answer(404, f"No such {error.kind}", str(error))
        case BadCursorError():
            return _answer(400, "No such page", str(error))
        case StorageError():
            return _answer(503, "The database does not answer", str(error))
        case _:
            return _answer(500, "A fault of ours", str(error))


async def _on_ours(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadroomError)
    return problem_response(error)


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, str(error.detail), str(error.detail))


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = (f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5])
    return _answer(422, "The request is not as documented", "; ".join(found))


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(HeadroomError, _on_ours)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
