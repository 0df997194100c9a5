"""`headroom serve` as a child process: what the demo shows, and what tests kill."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from domain.errors import HeadroomError
from headroom.settings import child_environment

_READY_LIMIT_S = 60.0
_END_LIMIT_S = 12.0


@dataclass(frozen=True, slots=True)
class ChildOptions:
    """How the child is started. `clock` is the text of a `FastClock`; `database` a SQLite file or a URL; ports of 0
    take any.
    """

    site_file: Path
    database: Path | str
    clock: str
    log_file: Path
    ocpp_port: int = 0
    api_port: int = 0


class ServiceChild:
    """One run of the service after another on the same ports and database."""

    def __init__(self, options: ChildOptions) -> None:
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.ocpp_port = options.ocpp_port
        self.api_port = options.api_port
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process id of the running child."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the service and wait until it listens; `HeadroomError` with its last words if it does not."""
        options = self._options
        database = options.database if isinstance(options.database, str) else f"sqlite:///{options.database}"
        with options.log_file.open("ab") as log_file:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "headroom", "serve", "--json", "--access", "open"),
                *("--site", str(options.site_file)),
                *("--database", database),
                *("--ocpp-port", str(self.ocpp_port)),
                *("--api-port", str(self.api_port)),
                stdout=asyncio.subprocess.PIPE,
                stderr=log_file,
                env=child_environment(HEADROOM_CLOCK=options.clock),
                start_new_session=True,  # Ctrl-C is the demo's to handle
            )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), _READY_LIMIT_S)
        except TimeoutError:
            line = b""
        if not line:
            raise HeadroomError(f"the service did not start; its last words: {self._last_words()}")
        ready = json.loads(line)
        self.ocpp_port, self.api_port = ready["ocpp_port"], ready["api_port"]
        self.starts += 1

    async def keep_alive(self, on_death: Callable[[int], None]) -> None:
        """Start the service again whenever it ends by itself, for ever; `on_death` is told its exit code."""
        while True:
            assert self._process is not None
            code = await self._process.wait()
            on_death(code)
            await self.start()

    def kill(self) -> None:
        """End the child without warning (SIGKILL)."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        """End the child in order (SIGTERM), and by force when that takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_LIMIT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _last_words(self) -> str:
        words = self._options.log_file.read_bytes()[-2000:].decode(errors="replace").strip()
        return words or "none"
