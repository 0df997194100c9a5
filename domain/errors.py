"""The class tree of errors. Curtailment, infeasibility and staleness are values with reasons, not exceptions."""

from typing import Literal


class HeadroomError(Exception):
    """Anything that Headroom raises on purpose; its text tells a person what to do."""


class SiteFileError(HeadroomError):
    """A site file that cannot be used: names file, line, field, the value found and what is allowed."""

    def __init__(self, file: str, line: int | None, field: str, message: str) -> None:
        self.file, self.line, self.field, self.message = file, line, field, message
        where = f"{file}:{line}" if line is not None else file
        super().__init__(f"{where}: {field}: {message}")


class UnknownIdError(HeadroomError):
    """An id that names nothing in this site."""

    def __init__(self, kind: str, value: str) -> None:
        self.kind, self.value = kind, value
        super().__init__(f"unknown {kind} '{value}'")


class ProtocolError(HeadroomError):
    """A peer broke OCPP-J; `side` says whose fault it is."""

    def __init__(self, side: Literal["charger", "csms"], message: str) -> None:
        self.side, self.message = side, message
        super().__init__(f"{side}: {message}")


class StorageError(HeadroomError):
    """The durable store refused or lost a write."""


class LeaseLostError(StorageError):
    """Somebody else controls the site now: what was to be written was refused, and no command may leave."""
