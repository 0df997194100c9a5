"""What every request must hold before anything reads it: text that is text, and JSON that is JSON."""

import re
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive

from headroom.api.problems import ApiError

MOST_BYTES = 4 * 1024 * 1024

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED_CONTROL = re.compile(rb"%(?:[01][0-9a-fA-F]|7[fF])")
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""PostgreSQL takes no NUL in a text, so that a batch with one would be lost after it was answered."""


def check_target(path: str, query: bytes) -> None:
    """No control character in a path or a query (`ApiError` 400): no id or cursor of ours has one."""
    if _CONTROL.search(path) or _ESCAPED_CONTROL.search(query):
        raise ApiError(400, "Not an address", "paths and queries hold no control characters, also not escaped")


async def read_body(receive: Receive, headers: Headers) -> bytes:
    """The whole body, within bounds; `ApiError` 413 beyond them, 422 where it is no JSON."""
    told = headers.get("content-length", "0")
    found = bytearray()
    if told.isdigit() and int(told) > MOST_BYTES:
        raise _too_large()
    while True:
        message: dict[str, Any] = dict(await receive())
        if message["type"] == "http.disconnect":
            break
        found += message.get("body", b"")
        if len(found) > MOST_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            break
    body = bytes(found)
    _check_json(body)
    return body


def _check_json(body: bytes) -> None:
    """Stricter than what reads it later: no NaN, no half of a surrogate pair, no NUL, nothing nested without end."""
    if not body.strip():
        return
    try:
        msgspec.json.decode(body)
    except RecursionError:
        raise ApiError(422, "Not JSON", "the body is nested too deeply") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise ApiError(422, "Not JSON", f"the body must be JSON (RFC 8259): {error}") from None
    if _ESCAPED_NUL.search(body):
        raise ApiError(422, "Not JSON", "the body's texts hold no NUL characters (\\u0000)")


def _too_large() -> ApiError:
    return ApiError(413, "Too large", f"a request's body may have {MOST_BYTES} bytes at most: send it in parts")
