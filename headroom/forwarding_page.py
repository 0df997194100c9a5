"""`python -m headroom.forwarding_page > docs/forwarding.md`: the policy tables as a page for people."""

from domain.events import OcppVersion
from proxy.protocol.hold_policy import HOLD, MEANING, OTHERWISE
from proxy.protocol.policy import POLICY, Treatment

_HEAD = """# What happens to each message

Generated from `proxy/protocol/policy.py` and `proxy/protocol/hold_policy.py` by `python -m headroom.forwarding_page`; a
test keeps it current.

Every message is forwarded byte for byte, whatever it is, unless its action is marked *intercept*: vendor actions,
unknown types and text that is no JSON as well. 2.1's SEND and CALLRESULTERROR frames are always forwarded.

- *relay*: forwarded, not read.
- *observe*: forwarded first, then read.
- *intercept*: read first; it, or the reply to it, may be changed, held back for a moment, or answered by the proxy.
  What need not be changed still passes byte for byte.

CALLs of ours (charging profiles, questions about them) are added towards the charger when the line is free, reports and
notifications towards the CSMS; the replies to them stay inside.

**Before the CSMS is there**: a charger that connects while the CSMS cannot be reached gets HTTP 503 and tries again
(`outage: close`); on `outage: hold` a charger that the CSMS has let in before is let in by the proxy.

**When the CSMS drops**: on `close` the charger's link is closed too: it queues what must not be lost, and its limits
hold, by the dead-man schedule, until it is back. On `hold` the link stays, and the charger's messages are answered as
the table says.

**Our limits** are never touched by either: they go to the charger as long as its own link is there.
"""
_NOT_FROM_CHARGERS = "-"


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for version, rules in POLICY.items():
        read = [
            f"| {action} | {rule.treatment} | {rule.why} | {_held(version, action)} |"
            for action, rule in rules.items()
            if rule.why
        ]
        relayed = [action for action, rule in rules.items() if rule.treatment is Treatment.RELAY]
        held = [action for action in relayed if action in HOLD[version]]
        table = "\n".join(
            ["| action | treatment | why | on `hold`, without the CSMS |", "| --- | --- | --- | --- |", *read]
        )
        rest = [f"| {action} | {_held(version, action)} |" for action in held]
        relays = "\n".join(["| relayed action | on `hold`, without the CSMS |", "| --- | --- |", *rest])
        others = ", ".join(action for action in relayed if action not in HOLD[version])
        parts.append(f"## {version}\n\n{table}\n\n{relays}\n\nRelayed, and sent by the CSMS alone: {others}.\n")
    parts.append(f"A charger's action that is in no table is, on `hold`, {MEANING[OTHERWISE.held]}.\n")
    return "\n".join(parts)


def _held(version: OcppVersion, action: str) -> str:
    rule = HOLD[version].get(action)
    return _NOT_FROM_CHARGERS if rule is None else MEANING[rule.held]


if __name__ == "__main__":
    print(page(), end="")
