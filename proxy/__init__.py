"""The OCPP proxy: a pure protocol core and thin asyncio shells around it."""
