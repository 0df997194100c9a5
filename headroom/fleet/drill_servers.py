"""A Redis and a PostgreSQL of a drill's own, that may be stopped, killed and slowed: nobody else's are touched."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from domain.errors import HeadroomError

_ANSWERS_WITHIN_S = 30.0
_SLOW_STOPPED_S, _SLOW_GOING_S = 0.4, 0.1
_SAFE = ("-c", "fsync=off", "-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1")


class OwnServer:
    """A server process and its children. `port` stays the same when it is started again; `ask` is a command that
    succeeds once it answers.
    """

    def __init__(self, command: Sequence[str], ask: Sequence[str], port: int, user: str | None = None) -> None:
        self.port = port
        self._command, self._ask, self._user = command, ask, user
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes connections; `HeadroomError` where it does not."""
        nowhere = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=nowhere, stderr=nowhere, user=self._user, start_new_session=True
        )
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                while not await self._answers():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise HeadroomError(f"{self._command[0]} does not answer on port {self.port}") from None

    async def _answers(self) -> bool:
        nowhere = asyncio.subprocess.DEVNULL
        asked = await asyncio.create_subprocess_exec(*self._ask, stdout=nowhere, stderr=nowhere)
        return await asked.wait() == 0

    async def kill(self) -> None:
        """End it and all it started, as a machine does that loses its power."""
        if self._process is None or self._process.returncode is not None:
            return
        children = _children(self._process.pid)
        self._signal(signal.SIGKILL)
        await self._process.wait()
        while any(map(_is_there, children)):  # noqa: ASYNC110 - they are not ours to wait for
            await asyncio.sleep(0.02)

    def pause(self) -> None:
        """Let it stand still: connections stay, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def slowed(self) -> AsyncIterator[None]:
        """It stands still four fifths of the time."""
        async with asyncio.TaskGroup() as group:
            limping = group.create_task(self._limp())
            try:
                yield
            finally:
                limping.cancel()
                self.wake()

    async def _limp(self) -> None:
        while True:
            self.pause()
            await asyncio.sleep(_SLOW_STOPPED_S)
            self.wake()
            await asyncio.sleep(_SLOW_GOING_S)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        for pid in (self._process.pid, *_children(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def own_redis(folder: Path, port: int) -> OwnServer:
    """A Redis that keeps nothing: it comes back empty."""
    program = _program("redis-server", "apt-get install redis-server")
    options = ("--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder), "--daemonize", "no")
    asks = [_program("redis-cli", "apt-get install redis-tools"), "-p", str(port), "ping"]
    return OwnServer([program, *options], asks, port)


async def own_postgresql(folder: Path, port: int) -> OwnServer:
    """A PostgreSQL with a new cluster in `folder`. It does not run as root; a root runs it as the user `postgres`."""
    user = "postgres" if os.geteuid() == 0 else None
    data = await asyncio.to_thread(_cluster_folder, folder, user)
    made = await asyncio.create_subprocess_exec(
        *(_postgresql("initdb"), "-D", str(data), "-U", "headroom", "--auth", "trust", "--no-sync", "-E", "UTF8"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        user=user,
        cwd=data,
    )
    _, said = await made.communicate()
    if made.returncode != 0:
        raise HeadroomError(f"initdb: {said.decode(errors='replace').strip()[-500:]}")
    asks = [_postgresql("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return OwnServer([_postgresql("postgres"), "-D", str(data), "-p", str(port), *_SAFE], asks, port, user)


def _cluster_folder(folder: Path, user: str | None) -> Path:
    data = folder / "cluster"
    data.mkdir()
    if user is not None:
        folder.chmod(0o755)
        shutil.chown(data, user)
    return data


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _postgresql(name: str) -> str:
    """One of the server's programs: they are seldom in the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda one: float(one.parts[4]))
    return str(found[-1]) if found else _program(name, "apt-get install postgresql")


def _program(name: str, how: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise HeadroomError(f"{name} is not installed: {how}")
    return found


def _children(pid: int) -> list[int]:
    """PostgreSQL's are each a group of their own."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
