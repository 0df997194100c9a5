"""What a charger is told when it cannot be let in: a status that it understands and one sentence for a person."""

from typing import Final

from websockets.datastructures import Headers
from websockets.http11 import Response

_REASONS: Final = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_PASSED_ON: Final = ("WWW-Authenticate", "Retry-After", "Content-Type")
_MAX_BODY: Final = 4096


def refusal(status: int, sentence: str, *, retry_after_s: int | None = None) -> Response:
    """401 and 403 for who has not proved enough, 404 for who is unknown, 429 and 503 for who may try again later."""
    body = f"{sentence}\n".encode()
    headers = Headers([("Connection", "close"), ("Content-Type", "text/plain; charset=utf-8")])
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="ocpp", charset="UTF-8"'
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    headers["Content-Length"] = str(len(body))
    return Response(status, _REASONS[status], headers, body)


def passed_on(answer: Response) -> Response:
    """The CSMS's own refusal (401, 403, 404 or another 4xx) as the charger's: status, reason, challenge and body."""
    body = bytes(answer.body[:_MAX_BODY])
    headers = Headers([("Connection", "close")])
    for name in _PASSED_ON:
        for value in answer.headers.get_all(name):
            headers[name] = value
    headers["Content-Length"] = str(len(body))
    return Response(answer.status_code, answer.reason_phrase, headers, body)
