"""The wall clock of the machine that the service runs on: it can be wrong."""

from datetime import datetime, timedelta

from domain.ports import Clock


class MachineClock:
    """Shows the true time and `wrong_s` more. Waiting is not affected: it does not go by the wall clock."""

    def __init__(self, true: Clock) -> None:
        self.wrong_s = 0.0
        self._true = true

    def now(self) -> datetime:
        """What the machine takes for the present instant, aware, UTC."""
        return self._true.now() + timedelta(seconds=self.wrong_s)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._true.sleep(seconds)
