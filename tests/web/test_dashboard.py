"""S1-092, S3-145: the dashboard in docs/grafana asks for metrics that are served.

S3-101: redemptions and assignments by outcome. S3-102: who waits for locks, and who found a coupon
taken.
"""

import json
import re
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text as sql

from models.base import new_id
from models.books import CouponState
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from ops.bootstrap import database_url
from pipelines.jobs.kinds import KINDS
from pipelines.wiring import House
from tests.conftest import Database
from tests.couponing import act, coupon_in, end_of, finish, id_of
from tests.seeding import Seeded
from tests.until import until
from tests.web.conftest import Caller, signed_in
from web.rate_limits import EXTENSION

S = CouponState
DOCS = Path(__file__).parents[2] / "docs"
#: Named by Prometheus, not by us.
GIVEN = {"instance", "le"}
SELECTOR = re.compile(r"(largesse_\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


@pytest.fixture
def ann(app: Flask, house: House, seeded: Seeded) -> Caller:
    return signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="ann.")


def dashboard() -> dict[str, Any]:
    board: dict[str, Any] = json.loads((DOCS / "grafana" / "largesse.json").read_text("utf-8"))
    return board


def expressions() -> list[str]:
    return [
        target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())
    ]


def served(caller: Caller) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of /metrics: its name and labels, and its value."""
    text = caller.client.get("/metrics").get_data(as_text=True)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def every_sample(app: Flask, house: House) -> None:
    """What is served only once there is something to say of it."""
    app.extensions[EXTENSION].note_refused("api")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            sql(
                "INSERT INTO processes (id, name, host, pid, threads) VALUES (:id, 'web', 'a', 1, 1)"
            ),
            {"id": new_id()},
        )


def value(caller: Caller, name: str, **labels: str) -> float:
    return served(caller).get((name, frozenset(labels.items())), 0.0)


def test_s1_092_s3_145_the_dashboard_asks_for_what_is_served(
    app: Flask, house: House, seeded: Seeded, ann: Caller
) -> None:
    """S1-092, S3-145: names, labels, and the values of states and kinds."""
    every_sample(app, house)
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    act(ann, f"/coupons/redeem/{code}")
    act(ann, f"/coupons/redeem/{code}")
    samples = served(ann)

    labels: dict[str, dict[str, set[str]]] = {}
    for name, pairs in samples:
        for label, text in pairs:
            labels.setdefault(name, {}).setdefault(label, set()).add(text)
    names = {name for name, _pairs in samples}
    text = "\n".join(expressions())

    assert set(re.findall(r"largesse_\w+", text)) - names == set()
    for by in re.findall(r"by \(([^)]*)\)", text):
        known = GIVEN | {label for found in labels.values() for label in found}
        assert set(by.split(", ")) <= known, by
    for name, matchers in SELECTOR.findall(text):
        for label, operator, wanted in MATCHER.findall(matchers):
            assert label in GIVEN | set(labels.get(name, ())), (name, label)
            if operator == "=" and label not in {"state", "kind"}:
                assert wanted in labels[name][label], (name, label, wanted)
            if label == "kind":
                assert wanted in KINDS


def test_s1_092_every_metric_of_the_house_is_on_the_dashboard(
    app: Flask, house: House, ann: Caller
) -> None:
    every_sample(app, house)
    ann.get("/nowhere")
    ours = {name for name, _labels in served(ann) if not name.endswith("_created")}
    shown = set(re.findall(r"largesse_\w+", "\n".join(expressions())))

    assert ours - shown == set()


def test_s3_145_panels_do_not_overlap_and_have_one_id_each() -> None:
    panels = dashboard()["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _y in cells) == 23


def test_s3_101_redemptions_are_counted_by_outcome(
    house: House, seeded: Seeded, ann: Caller
) -> None:
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    first = act(ann, f"/coupons/redeem/{code}")
    ended = end_of(house, ann, first)[0]
    again = act(ann, f"/coupons/redeem/{code}")

    route = "/api/v1/coupons/redeem/<code>"
    assert (ended, again.json["code"]) == (200, "terminal_state")
    assert value(ann, "largesse_jobs", kind="coupon_redemption", state="succeeded") == 1
    assert value(ann, "largesse_problems_total", route=route, code="terminal_state") == 1
    assert value(ann, "largesse_coupon_redemptions_total") == 1
    assert value(ann, "largesse_coupons", state="redeemed") == 1
    assert value(ann, "largesse_coupons", state="assigned") == 0
    assert code not in ann.client.get("/metrics").get_data(as_text=True)


def test_s3_102_who_found_a_coupon_taken_is_counted(
    house: House, seeded: Seeded, ann: Caller
) -> None:
    code = coupon_in(house, seeded, S.ASSIGNED, id_of(ann))
    for _ in range(3):
        act(ann, f"/coupons/redeem/{code}")
    finish(house)

    route = "/api/v1/coupons/redeem/<code>"
    assert value(ann, "largesse_problems_total", route=route, code="concurrent_redemption") == 2


def test_s3_102_who_waits_for_a_lock_is_shown_and_for_how_long(
    ann: Caller, database: Database
) -> None:
    """A deck is an advisory lock: shared by who takes from it, alone for who sets a part aside."""
    url = database_url(database.admin_url, database.name)
    before = value(ann, "largesse_lock_waiting", lock="advisory")

    def share() -> None:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT pg_advisory_xact_lock_shared(7)")

    with psycopg.connect(url) as alone:
        alone.execute("SELECT pg_advisory_xact_lock(7)")
        waiter = threading.Thread(target=share)
        waiter.start()
        until(lambda: value(ann, "largesse_lock_waiting", lock="advisory") == 1)
        seconds = value(ann, "largesse_lock_longest_seconds", lock="advisory")
    waiter.join()

    assert before == 0
    assert seconds > 0
    assert value(ann, "largesse_lock_waiting", lock="advisory") == 0
    assert value(ann, "largesse_deadlocks_total") == 0
