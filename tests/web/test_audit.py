"""The audit log over HTTP: scoped by the row policies, named as the caller may know (S1-112..115)."""

import csv
import io
from uuid import UUID, uuid4

import pytest
from flask import Flask

from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from pipelines.audit.circumstances import act_as, forget
from pipelines.audit.record import record
from pipelines.wiring import House
from tests.auditing import seal_all
from tests.driving import recipients_csv, rows, submit
from tests.seeding import ACTOR, Seeded, seed
from tests.web.conftest import Caller, signed_in


@pytest.fixture
def other(house: House) -> Seeded:
    return seed(house, vendor=False)


@pytest.fixture
def other_admin(app: Flask, house: House, other: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_ADMIN, other)


def entries(caller: Caller, **query: object) -> list[dict]:
    asked = "&".join(f"{name.rstrip('_')}={value}" for name, value in query.items())
    answer = caller.get(f"/audit?{asked}")
    assert answer.status_code == 200, answer.json
    return answer.json["data"]


def rename(caller: Caller, seeded: Seeded, name: str) -> None:
    answer = caller.call("PATCH", f"/campaigns/{seeded.campaign_id}", {"name": name})
    assert answer.status_code == 200, answer.json


def test_sec29_an_entry_tells_who_as_what_from_where_and_what_it_was_before(
    house: House, admin: Caller, seeded: Seeded
):
    answer = admin.call(
        "PATCH",
        f"/campaigns/{seeded.campaign_id}",
        {"name": "Autumn"},
        X_Request_Id="the-request",
    )
    me = admin.get("/auth/me").json["id"]

    (open_one,) = entries(admin, action="campaign.changed")
    seal_all(house)
    (sealed,) = entries(admin, action="campaign.changed")

    assert answer.status_code == 200
    assert open_one["actor"] == {"id": me, "name": "", "role": "platform_admin"}
    assert open_one["object"] == {"kind": "campaign", "id": str(seeded.campaign_id)}
    assert open_one["detail"] == {"name": ["Campaign", "Autumn"]}
    assert (open_one["request_id"], open_one["address"]) == ("the-request", "127.0.0.0/24")
    assert (open_one["sealed"], open_one["sequence"]) == (False, None)
    assert (sealed["sealed"], isinstance(sealed["sequence"], int)) == (True, True)


def test_a_tenant_sees_nothing_of_another_one(
    client_admin: Caller, other_admin: Caller, seeded: Seeded, other: Seeded
):
    rename(client_admin, seeded, "Mine")

    mine = entries(client_admin, action="campaign.changed")
    theirs = entries(other_admin)

    assert len(mine) == 1
    assert {entry["object"]["id"] for entry in theirs}.isdisjoint(
        {str(seeded.campaign_id), str(seeded.client_id)}
    )
    assert entries(other_admin, object_id=seeded.campaign_id) == []
    assert entries(other_admin, actor_id=client_admin.get("/auth/me").json["id"]) == []
    assert str(seeded.campaign_id) not in other_admin.get("/audit.csv").text
    totals = {a["action"] for a in other_admin.get("/audit/summary").json["actions"]}
    assert "campaign.changed" not in totals


def test_a_foreign_cursor_leads_nowhere(client_admin: Caller, other_admin: Caller, seeded: Seeded):
    rename(client_admin, seeded, "A")
    rename(client_admin, seeded, "B")
    cursor = client_admin.get("/audit?limit=1").json["next_cursor"]

    assert len(client_admin.get(f"/audit?cursor={cursor}").json["data"]) > 0
    assert other_admin.get(f"/audit?cursor={cursor}").json["data"] == []


def test_people_above_are_named_by_their_side_only(
    app: Flask, house: House, admin: Caller, client_admin: Caller, seeded: Seeded
):
    agency = signed_in(app, house, Role.AGENCY_ADMIN, seeded)
    rename(admin, seeded, "By the platform")
    rename(agency, seeded, "By the agency")
    rename(client_admin, seeded, "By myself")

    def actors(caller: Caller) -> list[tuple]:
        seen = [entry["actor"] for entry in entries(caller, action="campaign.changed")]
        return [(actor["name"], actor["id"] is None, actor["role"]) for actor in seen]

    assert actors(client_admin) == [
        ("", False, "client_admin"),
        ("Agency", True, None),
        ("Platform", True, None),
    ]
    assert [name for name, *_rest in actors(agency)] == ["", "", "Platform"]
    assert "address" not in entries(client_admin)[0]
    assert "address" not in entries(agency)[0]


def test_pages_go_back_in_time_without_a_gap(admin: Caller, seeded: Seeded):
    for number in range(5):
        rename(admin, seeded, f"Name {number}")

    shown, cursor = [], ""
    for _page in range(3):
        page = admin.get(f"/audit?action=campaign.changed&limit=2{cursor}").json
        shown += [entry["detail"]["name"][1] for entry in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"

    assert shown == [f"Name {number}" for number in reversed(range(5))]
    assert (page["has_more"], page["next_cursor"]) == (False, None)


def test_filters_narrow_the_log(admin: Caller, seeded: Seeded):
    rename(admin, seeded, "A")
    me = admin.get("/auth/me").json["id"]
    (entry,) = entries(admin, object_kind="campaign", actor_id=me)

    assert entries(admin, object_id=seeded.campaign_id) == [entry]
    assert entries(admin, action="campaign.changed", from_="2001-01-01T00:00:00Z") == [entry]
    assert entries(admin, action="campaign.changed", to="2001-01-01T00:00:00Z") == []
    assert entries(admin, object_id=uuid4()) == []


@pytest.mark.parametrize(
    "query", ["object_id=1", "from=yesterday", "limit=0", "cursor=x", "unknown=1"]
)
def test_a_filter_that_cannot_be_read_is_refused(admin: Caller, query: str):
    assert admin.get(f"/audit?{query}").status_code in {400, 422}


def test_the_log_is_taken_as_a_file_and_that_is_told(
    house: House, client_admin: Caller, seeded: Seeded
):
    rename(client_admin, seeded, "=cmd()")

    answer = client_admin.get("/audit.csv?action=campaign.changed")
    table = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))

    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert [row["detail"] for row in table] == ['{"name": ["Campaign", "=cmd()"]}']
    assert "address" not in table[0]
    (told,) = rows(
        house, "SELECT client_id, detail FROM audit_entries WHERE action = 'audit.exported'"
    )
    assert (told.client_id, told.detail["action"]) == (seeded.client_id, "campaign.changed")


def test_s1_115_a_summary_counts_by_action_and_by_actor(client_admin: Caller, seeded: Seeded):
    rename(client_admin, seeded, "A")
    rename(client_admin, seeded, "B")

    found = client_admin.get("/audit/summary").json

    assert {"action": "campaign.changed", "times": 2} in found["actions"]
    assert found["total"] == sum(one["times"] for one in found["actions"])
    assert found["total"] == sum(one["times"] for one in found["actors"])
    past = "/audit/summary?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z"
    assert client_admin.get(past).json["total"] == 0


@pytest.mark.parametrize(
    "period",
    [
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
    ],
)
def test_a_summary_of_too_long_a_time_is_refused(client_admin: Caller, period: str):
    assert client_admin.get(f"/audit/summary?{period}").status_code == 422


def test_support_reads_the_log_and_a_manager_does_not(
    app: Flask, house: House, manager: Caller, seeded: Seeded
):
    support = signed_in(app, house, Role.PLATFORM_SUPPORT)

    assert support.get("/audit").status_code == 200
    assert manager.get("/audit").status_code == 403


def test_results_taken_over_the_api_are_told(house: House, client_admin: Caller, seeded: Seeded):
    job_id: UUID = submit(house, seeded, recipients_csv(2))

    assert client_admin.get(f"/jobs/{job_id}/results.csv?only=failed").status_code == 200
    (told,) = entries(client_admin, action="job.results_downloaded")
    assert (told["object"]["id"], told["job_id"]) == (str(job_id), str(job_id))
    assert told["detail"] == {"only": "failed"}


def test_sec30_support_behind_a_person_s_eyes_is_named_with_whom(house: House, admin: Caller):
    """The pair: who acts, in their own role, and for whom."""
    act_as(ACTOR, "platform_support", on_behalf_of=UUID(int=5))
    with scoped_transaction(house.sessions, PLATFORM) as session:
        record(session, "audit.exported", object_kind="audit", object_id=None, actor_id=ACTOR)
    forget()

    (entry,) = entries(admin, action="audit.exported")
    assert (entry["actor"]["role"], entry["on_behalf_of"]) == (
        "platform_support",
        str(UUID(int=5)),
    )


def test_s1_113_who_signed_in_is_told_in_the_log_of_their_tenant(client_admin: Caller):
    me = client_admin.get("/auth/me").json["id"]

    (opened,) = entries(client_admin, action="sign_in.opened")

    assert (opened["object"]["id"], opened["actor"]["id"]) == (me, me)


def test_times_are_written_as_everywhere_else(admin: Caller):
    admin.post("/agencies", {"name": "Wide"})

    entry = admin.get("/audit?action=agency.created").json["data"][0]
    summary = admin.get("/audit/summary").json

    written = [entry["at"], summary["from"], summary["to"]]
    assert [text[-1] for text in written] == ["Z", "Z", "Z"]
