"""TLS settings that follow their files: a renewed certificate is used from the next handshake on, without a restart."""

import ssl
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from proxy.certificates import CertificateError, KeyPair, client_context, load_pairs, server_context

_State = tuple[tuple[int, int], ...]


class ServerTls:
    """What chargers meet. `CertificateError` for files that cannot be used now."""

    def __init__(self, pairs: Sequence[KeyPair], client_ca: str | None, now: datetime) -> None:
        self._pairs = tuple(pairs)
        self._state = _state(self._files())
        self.context = server_context(self._pairs, client_ca, now)

    def refresh(self, now: datetime) -> bool:
        """Use the files as they are now if they have changed; whether they had. With `CertificateError` the old ones
        stay in use. A change of the client authority needs a restart.
        """
        state = _state(self._files())
        if state == self._state:
            return False
        load_pairs(self.context, self._pairs, now)
        self._state = state
        return True

    def _files(self) -> list[str]:
        return [file for pair in self._pairs for file in (pair.certificate, pair.key)]


class ClientTls:
    """What the CSMS of a site meets: settings for each client certificate, made when they are first needed.

    `ca` replaces the system's roots. `now` reads the clock.
    """

    def __init__(self, ca: str | None, now: Callable[[], datetime]) -> None:
        self._ca, self._now = ca, now
        self._made: dict[KeyPair | None, tuple[_State, ssl.SSLContext]] = {}

    def context(self, pair: KeyPair | None) -> ssl.SSLContext:
        """For dialling in the name of whoever has this pair. Where renewed files cannot be used, the old ones are; with
        none that ever could, `CertificateError`.
        """
        files = [file for file in (self._ca, *((pair.certificate, pair.key) if pair else ())) if file is not None]
        made = self._made.get(pair)
        try:
            state = _state(files)
            if made is None or made[0] != state:
                made = state, client_context(self._ca, pair, self._now())
                self._made[pair] = made
        except CertificateError:
            if made is None:
                raise
        return made[1]


def _state(files: Iterable[str]) -> _State:
    found = []
    for file in files:
        try:
            status = Path(file).stat()
        except OSError as error:
            raise CertificateError(file, f"cannot be read: {error.strerror or error}") from None
        found.append((status.st_mtime_ns, status.st_size))
    return tuple(found)
