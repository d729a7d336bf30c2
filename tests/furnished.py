"""A tenant with something on every page of the console, and the address of every page."""

import csv
import io
import json
from datetime import timedelta
from uuid import UUID

from flask import Flask
from sqlalchemy import insert, text

from models import clock
from models.base import new_id
from models.books import CouponMove
from models.cards import Card, ProviderOrder
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM, client
from models.tasks import Task
from models.vendors import VendorAccount
from models.webhooks import WebhookDelivery, WebhookEndpoint
from pipelines.books.history import Moved, Step, move_coupons
from pipelines.distribution.draw import Mode
from pipelines.wiring import House
from tests.booking import make_book
from tests.buying import furnish_payments
from tests.clawing import dispute, top_up_of
from tests.couponing import coupon, own_coupon, put_codes
from tests.discounting import full_discount, make_discount
from tests.distributing import distribute, make_pool, options, stocked_book
from tests.driving import cards_csv, change, drain, import_cards_now, rows, submit
from tests.funding import PRICE, funded
from tests.furnished_partner import furnish_partner
from tests.security.tenants import key_caller
from tests.seeding import Seeded, seed
from tests.suspecting import flag
from tests.web.conftest import make_user
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor
from tests.web.test_alerts import seen

#: Who was sent a card.
RECIPIENT = "ada@example.com"
#: Of which a vendor's statement is taken.
DAY = "2026-01-05"


def furnish(app: Flask, house: House, words: str) -> Seeded:
    """The tenant; `words` stand wherever people may give text, and a job ended in failures.

    Another tenant has sent a card to `RECIPIENT`, and owes for it.
    """
    owing = funded(house, cards=1, minor=2 * PRICE)
    sent = [{"reference": "r", "name": words, "email": RECIPIENT}]
    submit(house, owing, sent, delivery_method="email")
    seeded = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    people = [{"reference": words, "name": words, "email": f"a{n}@x.de"} for n in range(2)]
    key_caller(app, house, seeded.client_id)
    viewer = make_user(house, "viewer@furnished.example", Role.CLIENT_VIEWER, seeded)
    _bind(house, seeded, viewer, words)
    job_id = submit(house, seeded, people)
    drain(house)
    dispute(house, top_up_of(house, owing.client_account), name=words[:120])
    seen(house, seeded.csv_pool)
    _name(house, words)
    _fail(house, job_id, words)
    _order(house, seeded, job_id, words)
    _lay_aside(house, seeded, job_id, words)
    _listen(house, seeded, job_id, words)
    _distribute(house, seeded, words)
    _discount(house, seeded, words)
    furnish_payments(house, seeded, words)
    furnish_partner(app, house, seeded, words)
    return seeded


def _bind(house: House, seeded: Seeded, holder: UUID, words: str) -> None:
    """A book whose coupons stand in several ways, one of them with a history."""
    pattern = {"prefix": "SPRING", "random_length": 12, "alphabet": "ABCDEFGH23456789"}
    book_id = make_book(house, seeded, name=words, max_assignments_per_user=5, **pattern)
    code, *_others = put_codes(house, seeded, book_id, 3)
    for move in (CouponMove.ASSIGNED, CouponMove.LOCKED):
        found = coupon(house, seeded, code)
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            now = clock.now(session)
            moved = Moved(move, now, holder, reason=words, until=now + timedelta(minutes=5))
            assert move_coupons(session, book_id, [Step(found.id, found.version, holder)], moved)


def _name(house: House, words: str) -> None:
    with scoped_transaction(house.sessions, PLATFORM) as session:
        for table in ("agencies", "clients", "campaigns", "brands"):
            session.execute(
                text(f"UPDATE {table} SET name = left(:name || ' ' || id, 190)"), {"name": words}
            )
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE api_keys SET name = :name"), {"name": words})


def _fail(house: House, job_id: UUID, words: str) -> None:
    """Words on the job, on its failed items and on a task that was given up."""
    error = json.dumps({"status": 422, "code": words, "detail": words})
    values = {"name": words, "error": error, "job": job_id}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text(
                "UPDATE jobs SET file_name = :name, error = CAST(:error AS jsonb) WHERE id = :job"
            ),
            values,
        )
        session.execute(
            text("UPDATE items SET detail = :name WHERE job_id = :job AND state = 'failed'"),
            values,
        )
        session.execute(
            insert(Task).values(
                id=new_id(),
                kind="poll_order",
                queue="vendor",
                lane="vendor",
                run_after=text("now()"),
                state="dead",
                args={"order_id": str(new_id())},
                died_at=text("now()"),
                attempts=8,
                last_error=words,
            )
        )


def _order(house: House, seeded: Seeded, job_id: UUID, words: str) -> None:
    """A vendor with an order that it refused."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(VendorAccount).values(
                vendor="reloadly", rate_per_minute=600, burst=10, micro_tokens=10_000_000
            )
        )
        session.execute(
            insert(ProviderOrder).values(
                id=new_id(),
                agency_id=seeded.agency_id,
                client_id=seeded.client_id,
                job_id=job_id,
                position=1,
                brand_id=seeded.brand_id,
                vendor="reloadly",
                product=words,
                face_value_minor=2500,
                currency="USD",
                state="refused",
                code="vendor_refused",
                vendor_order_id=words,
                vendor_code=words,
                settled_at=text("now()"),
            )
        )


def _lay_aside(house: House, seeded: Seeded, job_id: UUID, words: str) -> None:
    """A card that a vendor sent in another way than ordered: it is in no pool."""
    order = {"id": new_id(), "agency_id": seeded.agency_id, "client_id": seeded.client_id}
    of = {"brand_id": seeded.brand_id, "currency": "USD"}
    card = {"sealed_number": b"", "blind_index": order["id"].bytes, "last4": words[:4]}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(ProviderOrder).values(
                job_id=job_id,
                position=2,
                vendor="reloadly",
                product=words,
                face_value_minor=2500,
                state="succeeded",
                code=words,
                **(order | of),
            )
        )
        session.execute(
            insert(Card).values(
                id=new_id(),
                client_id=seeded.client_id,
                denomination_minor=2000,
                source="api",
                state="quarantined",
                cost_minor=1900,
                cost_currency="USD",
                provider_order_id=order["id"],
                **(card | of),
            )
        )


def _listen(house: House, seeded: Seeded, job_id: UUID, words: str) -> None:
    """An endpoint of webhooks with a delivery."""
    place = {"agency_id": seeded.agency_id, "client_id": seeded.client_id}
    made = {"id": new_id(), "url": f"https://a.example/{words}", "created_by": new_id()}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            insert(WebhookEndpoint).values(made | place | {"description": words, "events": [words]})
        )
        session.execute(
            insert(WebhookDelivery).values(
                endpoint_id=made["id"],
                event_id=new_id(),
                type=words,
                object_kind=words,
                object_id=job_id,
                sequence=1,
                data={},
                happened_at=text("now()"),
                next_at=text("now()"),
                outcome=words,
                **place,
            )
        )


def _distribute(house: House, seeded: Seeded, words: str) -> None:
    """Coupons of a book, given to some people of a pool."""
    pool, people = make_pool(house, seeded, 3)
    book = stocked_book(house, seeded, 9, name=words[:190], max_assignments_per_user=2)
    values = {"words": words, "pool": pool, "people": people}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE user_pools SET name = left(:words, 190), description = :words"), values
        )
        session.execute(
            text(
                "UPDATE client_users SET name = :words, external_id = left(user_id || :words, 255), "
                "disabled_at = CASE WHEN user_id = :off THEN now() END WHERE user_id = ANY (:people)"
            ),
            values | {"off": people[0]},
        )
    distribute(house, seeded, options(pool, book, 6, mode=Mode.EQUAL, seed=words[:128]))
    drain(house)


def _discount(house: House, seeded: Seeded, words: str) -> None:
    """A code that somebody has reserved, and one whose rules name products."""
    make_discount(house, seeded, "OTHER", max_uses=5, currency="USD", products=(words[:100],))
    usage_id = full_discount(house, seeded)
    change(
        house, "UPDATE discount_usages SET cart_reference = :w WHERE id = :id", w=words, id=usage_id
    )
    flag(house, {"id": usage_id})


def keep_books(house: House, root: Visitor, seeded: Seeded, words: str) -> None:
    """What the platform's administrator does at the console: a sheet, a statement, a price."""
    (agency,) = rows(house, "SELECT name FROM agencies WHERE id = :id", id=seeded.agency_id)
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(["agency", "client", "campaign", "currency", "balance_minor", "total_minor"])
    writer.writerow([agency.name, "", "", "EUR", 500, ""])
    file = (io.BytesIO(sheet.getvalue().encode()), "sheet.csv")
    sent = [root.send("/console/balance-sheets", do="ask", reason=words, file=file)]
    vendor, line = "/console/vendors/reloadly", b",77,10.00,USD\n"
    file = (io.BytesIO(b"reference,vendor_order_id,amount,currency\n" + line), "statement.csv")
    sent.append(root.send(f"{vendor}/statements", vendor, day=DAY, file=file))
    path = f"/console/brands/{seeded.brand_id}/price"
    price = {"client_id": "", "value": "", "by": "share", "share": "103", "amount": ""}
    checked = root.send(path, **price).text.rpartition("<form")[2]
    agreed = dict(HIDDEN.findall(checked)) | {"reason": words}
    sent.append(root.client.post(path, data=agreed, headers=SAME_ORIGIN))
    path = f"/console/campaigns/{seeded.campaign_id}/codes"
    file = (io.BytesIO(b"redemption_code\nABCD-1234-WXYZ\n"), "codes.csv")
    sent.append(root.send(path, brand_id=str(seeded.brand_id), amount="25", file=file))
    assert [answer.status_code for answer in sent] == [303, 303, 303, 303]


def draft_of(visitor: Visitor, seeded: Seeded, words: str) -> str:
    """A draft of the wizard whose file has a row that cannot be used."""
    chosen = {"campaign_id": str(seeded.campaign_id), "brand_id": str(seeded.brand_id)}
    chosen["delivery_method"] = "none"
    home = visitor.send("/console/jobs/new", amount="25", **chosen).headers["Location"]
    content = f'reference,name,email\n"{words}","{words}",{words}\n'.replace("\"'", "'")
    visitor.send(home, file=(io.BytesIO(content.encode()), f"{words}.csv"))
    return home.removesuffix("/upload").rpartition("/")[2]


def ids_of(house: House, seeded: Seeded, draft_id: str) -> dict[str, object]:
    """What stands in the addresses of pages; where there is none, an id of something else."""
    known = {"client": seeded.client_id, "pool": seeded.csv_pool}

    def first(statement: str) -> object:
        found = rows(house, f"SELECT id FROM {statement} ORDER BY id", **known)
        return found[0].id if found else seeded.brand_id

    return {
        "job_id": first("jobs WHERE kind = 'provisioning' AND client_id = :client"),
        "draw_job_id": first("jobs WHERE kind = 'distribution' AND client_id = :client"),
        "user_pool_id": first("user_pools WHERE client_id = :client"),
        "draft_id": draft_id,
        "key_id": first("api_keys WHERE client_id = :client"),
        "user_id": first("users WHERE role = 'client_viewer' AND client_id = :client"),
        "account_id": seeded.client_account,
        "campaign_id": seeded.campaign_id,
        "pool_id": seeded.csv_pool,
        "batch_id": first("card_batches WHERE pool_id = :pool"),
        "order_id": first("provider_orders WHERE client_id = :client"),
        "vendor": "reloadly",
        "brand_id": seeded.brand_id,
        "price_id": first("prices"),
        "transfer_id": top_up_of(house, seeded.client_account),
        "receivable_id": first("receivables"),
        "sheet_id": first("balance_sheets"),
        "day": DAY,
        "book_id": first("books WHERE client_id = :client"),
        "coupon_id": first(
            "coupons WHERE book_id = (SELECT min(id::text)::uuid FROM books"
            " WHERE client_id = :client) AND state = 'locked'"
        ),
        "own_id": own_coupon(house, seeded, draft_id),
        "discount_id": first("discount_codes WHERE client_id = :client AND used > 0"),
        "reservation_id": first("discount_usages WHERE client_id = :client"),
        "purchase_id": first("purchases WHERE client_id = :client"),
        "program_id": first("referral_programs WHERE client_id = :client"),
        "top_up_id": first("top_ups WHERE client_id = :client"),
        "event_id": "evt_1",
        "partner_id": first("partners WHERE client_id = :client"),
        "endpoint_id": first("webhook_endpoints WHERE client_id = :client"),
    }


def pages(app: Flask, ids: dict[str, object]) -> list[str]:
    """Every page of the console that is read with GET."""
    found = []
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/console") and "GET" in rule.methods:
            path = rule.rule
            for name in rule.arguments & set(ids):
                path = path.replace(f"<uuid:{name}>", str(ids[name]))
                path = path.replace(f"<{name}>", str(ids[name]))
            found.append(path.replace("<token>", "t"))
            # A job about coupons has other parts than one that issued cards.
            if "job_id" in rule.arguments:
                found.append(found[-1].replace(str(ids["job_id"]), str(ids["draw_job_id"])))
    assert [path for path in found if "<" in path] == []
    return found
