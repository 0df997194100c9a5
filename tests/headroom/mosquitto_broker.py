"""A Mosquitto of a test's own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from needs import program


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@asynccontextmanager
async def a_broker(folder: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Its process, once it answers."""
    program("mosquitto", "apt-get install mosquitto")
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec("mosquitto", "-c", str(config), stdout=nowhere, stderr=nowhere)
    try:
        async with asyncio.timeout(20):
            while not _reachable(port):
                await asyncio.sleep(0.01)
        yield process
    finally:
        process.kill()
        await process.wait()


def _reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True
