"""The official JSON schemas, as the `ocpp` package carries them, on what really goes over the wire.

The frame's own text is parsed again for the check, floats as decimals: `multipleOf 0.1` on binary floats rejects
good values (6.3 is no multiple of 0.1 in binary). A check costs 0.2 to 1 ms, so long runs check a sample.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

import jsonschema
from jsonschema.validators import validator_for

from domain.errors import HeadroomError

Version = Literal["ocpp1.6", "ocpp2.0.1"]
_PACKAGES: Mapping[str, str] = {"ocpp1.6": "ocpp.v16", "ocpp2.0.1": "ocpp.v201"}

ERROR_CODES: Mapping[str, frozenset[str]] = {
    "ocpp1.6": frozenset(
        (
            *("NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError", "GenericError"),
            *("FormationViolation", "PropertyConstraintViolation"),
            # Both typos are official (J16 table 7).
            *("OccurenceConstraintViolation", "TypeConstraintViolation"),
        )
    ),
    "ocpp2.0.1": frozenset(
        (
            *("NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError", "GenericError"),
            *("FormatViolation", "PropertyConstraintViolation", "OccurrenceConstraintViolation"),
            *("TypeConstraintViolation", "MessageTypeNotSupported", "RpcFrameworkError"),
        )
    ),
}
"""What a CALLERROR may say (J16 table 7, P4 table 8)."""

_TIMES = jsonschema.FormatChecker(formats=())


def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


_TIMES.checks("date-time", raises=ValueError)(_is_instant)


class InvalidFrameError(HeadroomError):
    """A simulator would have sent a frame that the schemas forbid."""


def check_frame(version: Version, text: str, answered_action: str | None = None) -> None:
    """Check one outgoing frame.

    Args:
        version: of OCPP.
        text: the frame.
        answered_action: for a CALLRESULT, the action of the CALL that it answers.

    Raises:
        InvalidFrameError: names the action, the place in the payload and what is wrong there.
    """
    frame = json.loads(text, parse_float=Decimal)
    kind, call_id = frame[0], frame[1]
    if not isinstance(call_id, str) or not 0 < len(call_id) <= 36:
        raise InvalidFrameError(f"message id {call_id!r}: a string of 1 to 36 characters is allowed")
    if kind == 2 and len(frame) == 4:
        _check(version, frame[2], is_reply=False, payload=frame[3])
    elif kind == 3 and len(frame) == 3 and answered_action is not None:
        _check(version, answered_action, is_reply=True, payload=frame[2])
    elif kind == 4 and len(frame) == 5:
        if frame[2] not in ERROR_CODES[version]:
            raise InvalidFrameError(f"CALLERROR code {frame[2]!r}: {version} knows {sorted(ERROR_CODES[version])}")
    else:
        raise InvalidFrameError(f"not a frame of {version}: {text[:200]}")


def _check(version: Version, action: str, *, is_reply: bool, payload: Any) -> None:
    error = next(iter(_validator(version, action, is_reply).iter_errors(payload)), None)
    if error is not None:
        place = "/".join(str(part) for part in error.absolute_path) or "payload"
        what = "reply to " if is_reply else ""
        raise InvalidFrameError(f"{version} {what}{action}: {place}: {error.message[:300]}")


@lru_cache(maxsize=512)
def _validator(version: Version, action: str, is_reply: bool) -> Any:
    suffix = "Response" if is_reply else ("" if version == "ocpp1.6" else "Request")
    source = files(_PACKAGES[version]) / "schemas" / f"{action}{suffix}.json"
    try:
        # Some of the schema files begin with a byte order mark.
        schema = json.loads(source.read_bytes().decode("utf-8-sig"), parse_float=Decimal)
    except FileNotFoundError:
        raise InvalidFrameError(f"{version} has no message {action}{suffix}") from None
    return validator_for(schema)(schema, format_checker=_TIMES)
