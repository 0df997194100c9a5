"""The description at /openapi.json: what FastAPI knows, and what the gate adds to every endpoint."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from headroom.access.roles import GRANTS, Permission
from headroom.api.permissions import REQUIRED, WITHOUT_KEYS
from headroom.api.problems import MEDIA_TYPE, Problem

_TITLES: Mapping[str, str] = {
    "400": "not a cursor or not a key",
    "401": "no token, or one that does not hold",
    "403": "not for this role, or a write that the page did not send",
    "404": "no such thing, or out of the caller's scope",
    "409": "not as things stand",
    "413": "too large",
    "422": "not as documented",
    "429": "too often: see Retry-After",
    "503": "the database or the provider does not answer: try again",
}
_KEY: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "repeating a write with the same key, within 24 hours, gives the first answer again",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}
_VERBS = ("get", "post", "put", "patch", "delete")


def install(app: FastAPI) -> None:
    """Give `app` its description; `ValueError` for a path of it that the table of permissions does not have."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description="Chargers, panels and limits of a building. Errors are problem documents (RFC 9457).",
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "`hr_...`, or a token of the OIDC provider"},
        "page": {"type": "apiKey", "in": "cookie", "name": "headroom_session"},
    }
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    for path, item in document["paths"].items():
        for verb in _VERBS:
            if verb in item:
                _complete(verb.upper(), path, item[verb])
    app.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's own way to replace it


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    permission = REQUIRED.get((method, path))
    if permission is None:
        raise ValueError(f"{method} {path} has no row in headroom/api/permissions.py: say there what it asks for")
    roles = [role.value for role, granted in GRANTS.items() if permission in granted]
    if permission is Permission.OPEN:
        operation["security"] = []
    else:
        operation["security"] = [{"token": []}, {"page": []}]
        operation["description"] = f"{operation.get('description', '')}\n\nRoles: {', '.join(roles)}.".strip()
    statuses = {"400", "422", "429", "503", "403", "404", "401"}
    if method != "GET":
        statuses |= {"409", "413"}
        if path not in WITHOUT_KEYS:
            operation.setdefault("parameters", []).append(dict(_KEY))
    for status in sorted(statuses):
        if status == "422" or status not in operation["responses"]:
            operation["responses"][status] = {
                "description": _TITLES[status],
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
