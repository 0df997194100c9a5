"""`python -m headroom.forwarding_page > docs/forwarding.md`: the policy table as a page for people."""

from proxy.protocol.policy import POLICY, Treatment

_HEAD = """# What happens to each message

Generated from `proxy/protocol/policy.py` by `python -m headroom.forwarding_page`; a test keeps it current.

Every message is forwarded byte for byte, whatever it is: vendor actions, unknown types and text that is no
JSON as well.

- *relay*: forwarded, not read.
- *observe*: forwarded first, then read.
- *intercept*: changed or answered by the proxy. This version intercepts nothing.

CALLs of ours (charging profiles) are added towards the charger when the line is free; their replies stay inside.

**While the CSMS cannot be reached** a charger that connects gets HTTP 503 and tries again. When the CSMS's link drops,
the charger's is closed too: it queues what must not be lost, and its limits hold, by the dead-man schedule, until it is
back. `outage: hold` is treated the same in this version.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for version, rules in POLICY.items():
        read = [f"| {action} | {rule.treatment} | {rule.why} |" for action, rule in rules.items() if rule.why]
        relayed = ", ".join(action for action, rule in rules.items() if rule.treatment is Treatment.RELAY)
        table = "\n".join(["| action | treatment | why |", "| --- | --- | --- |", *read])
        parts.append(f"## {version}\n\n{table}\n\nRelayed: {relayed}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
