"""A plain relay on `websockets`' coroutine API, as in its documentation, on uvloop, without compression.

`python -m benchmarks._relay_rival CSMS_PORT CERTIFICATE`, prints its port. Without a certificate ('') it speaks no TLS.
"""

import asyncio
import ssl
import sys

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol


async def pump(source: ClientConnection | ServerConnection, sink: ClientConnection | ServerConnection) -> None:
    """Pass on what comes until one side is gone."""
    try:
        async for message in source:
            await sink.send(message)
    except ConnectionClosed:
        pass
    await sink.close()


async def main(csms_port: int, certificate: str) -> None:
    """Relay until killed."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    subprotocols = [Subprotocol("ocpp1.6")]

    async def relay(charger: ServerConnection) -> None:
        assert charger.request is not None
        identity = charger.request.path.rpartition("/")[2]
        upstream = connect(f"ws://127.0.0.1:{csms_port}/csms/{identity}", subprotocols=subprotocols, compression=None)
        async with upstream as csms, asyncio.TaskGroup() as both:
            both.create_task(pump(charger, csms))
            both.create_task(pump(csms, charger))

    listening = serve(relay, "127.0.0.1", 0, subprotocols=subprotocols, compression=None, backlog=4096, ssl=context)
    async with listening as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2]))
