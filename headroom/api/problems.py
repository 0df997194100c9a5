"""Errors as RFC 9457 problem documents: each says what to do."""

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

    def __init__(self, status: int, title: str, detail: str) -> None:
        self.status, self.title, self.detail = status, title, detail
        super().__init__(detail)


def _answer(status: int, title: str, detail: str) -> JSONResponse:
    problem = Problem(title=title, status=status, detail=detail)
    return JSONResponse(problem.model_dump(), status_code=status, media_type=MEDIA_TYPE)


async def _on_api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return _answer(error.status, error.title, error.detail)


async def _on_unknown_id(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UnknownIdError)
    return _answer(404, f"No such {error.kind}", str(error))


async def _on_bad_cursor(_: Request, error: Exception) -> JSONResponse:
    return _answer(400, "No such page", str(error))


async def _on_storage(_: Request, error: Exception) -> JSONResponse:
    return _answer(503, "The database does not answer", str(error))


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, str(error.detail), str(error.detail))


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = (f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5])
    return _answer(422, "The request is not as documented", "; ".join(found))


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(UnknownIdError, _on_unknown_id)
    app.add_exception_handler(BadCursorError, _on_bad_cursor)
    app.add_exception_handler(StorageError, _on_storage)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
