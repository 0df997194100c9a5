"""The message log over REST: what was said, in pages and by filters, for those who may see it."""

from datetime import timedelta

import pytest
from api_world import a_house

from headroom.access.roles import Role
from headroom.message_log import MessageLog

SECRETS = [
    ("from_csms", b'[2,"7","ChangeConfiguration",{"key":"AuthorizationKey","value":"deadbeefdeadbeef"}]'),
    ("from_charger", b'[3,"7",{"status":"Accepted"}]'),
    ("from_charger", b'[2,"8","Authorize",{"idTag":"TAG-OF-ANNA"}]'),
    ("from_charger", b"rubbish TAG-OF-ANNA"),
]


async def test_messages_are_shown_without_secrets_in_pages_and_by_filters():
    async with a_house() as house:
        service = house.service
        log = MessageLog(service.store, service.clock)
        log.add_site(house.site.id, b"salt")
        record = log.recorder(house.site, "CP001")
        begun = service.clock.now()
        for number, (direction, raw) in enumerate(SECRETS):
            record(direction, raw, begun + timedelta(milliseconds=number))
        await log.flush()
        first = await house.get("/chargers/CP001/messages?limit=3")
        rest = await house.get(f"/chargers/CP001/messages?limit=3&cursor={first['next']}")
        found = [*first["items"], *rest["items"]]
        assert rest["next"] is None
        assert [(one["kind"], one["action"]) for one in found] == [
            ("other", None),
            ("call", "Authorize"),
            ("result", "ChangeConfiguration"),
            ("call", "ChangeConfiguration"),
        ]
        assert "TAG-OF-ANNA" not in str(found)
        assert "deadbeef" not in str(found)
        assert found[3]["payload"] == {"key": "AuthorizationKey", "value": "[redacted]"}
        calls = await house.get("/chargers/CP001/messages?action=ChangeConfiguration&direction=from_csms")
        assert [one["message_id"] for one in calls["items"]] == ["7"]
        after = (begun + timedelta(milliseconds=2)).isoformat().replace("+", "%2B")
        assert len((await house.get(f"/chargers/CP001/messages?since={after}"))["items"]) == 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/chargers/CP999/messages", 404),
        ("/chargers/CP001/messages?direction=sideways", 422),
        ("/chargers/CP001/messages?since=2026-01-01T00:00:00", 422),
        ("/chargers/CP001/messages?cursor=nonsense", 400),
    ],
)
async def test_a_request_that_cannot_be_served_is_told_why(path: str, status: int):
    async with a_house() as house:
        answer = await house.client.get(f"/api/v1{path}")
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


async def test_the_log_is_for_operators():
    async with a_house(mode="token") as house:
        for role, status in ((Role.VIEWER, 403), (Role.DRIVER, 403), (Role.OPERATOR, 200)):
            client = await house.with_role(role)
            assert (await client.get("/api/v1/chargers/CP001/messages")).status_code == status
