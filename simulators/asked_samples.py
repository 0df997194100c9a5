"""Which samples the relay asked a charger for, by what the charger was sent: those it may keep from the CSMS."""

import re
from dataclasses import dataclass

_CONTEXT = re.compile(r'"context"\s*:\s*"([^"]*)"')
_INTERVAL = re.compile(r'"key"\s*:\s*"MeterValueSampleInterval"')
_OF_SAMPLES = re.compile(r'"requestedMessage"\s*:\s*"MeterValues"')


@dataclass(slots=True)
class AskedSamples:
    """One charger's. docs/forwarding.md: where we ask for more samples than the CSMS configured, those stay here.

    Nothing else does: each trigger of the relay's own excuses one triggered sample, and periodic samples are excused
    only where the relay has changed their interval.
    """

    triggers: int = 0
    samples_more_often: bool = False

    def injected(self, action: str, text: str) -> None:
        """A CALL of the relay's own has reached the charger."""
        if action == "TriggerMessage" and _OF_SAMPLES.search(text):
            self.triggers += 1
        elif action == "ChangeConfiguration" and _INTERVAL.search(text):
            self.samples_more_often = True

    def may_stay(self, text: str) -> bool:
        """Whether a MeterValues that the charger sends may be answered by the relay and kept."""
        contexts = set(_CONTEXT.findall(text))
        if contexts == {"Trigger"}:
            asked = self.triggers > 0
            self.triggers -= asked
            return asked
        return self.samples_more_often and contexts <= {"Sample.Periodic"}
