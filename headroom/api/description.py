"""Prints /openapi.json without a running service: `python -m headroom.api.description > openapi.json`.

From it the page's typed client is generated.
"""

import asyncio
import json
import sys

from headroom.access.options import AccessOptions
from headroom.api.app import create_app
from headroom.api.guard import authority_of
from headroom.bootstrap import Outside, build
from headroom.clock import WallClock, monotonic_s
from inventory.store import InlineStore
from proxy.network import LoopNetwork


async def description() -> str:
    """The document as it is served, as JSON with a newline at its end."""
    outside = Outside(WallClock(), LoopNetwork(), InlineStore(), monotonic_s, str)
    service = await build([], {}, outside)
    document = create_app(service, authority_of(service, AccessOptions(), monotonic_s)).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(description()))
