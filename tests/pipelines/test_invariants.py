"""Each invariant reports exactly its own breach; a proof is narrowed, bounded and never too glad."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg
import pytest

from models.books import WHOLE_BOOK
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from ops.bootstrap import database_url
from pipelines.books.generate import accept_generation
from pipelines.books.patterns import PLAIN_ALPHABET
from pipelines.books.recount import count_book, count_people
from pipelines.errors import NotFound
from pipelines.reconciliation.invariant import Invariant
from pipelines.reconciliation.invariants import INVARIANTS
from pipelines.reconciliation.prove import Patience, Proof, prove
from pipelines.wiring import House
from tests.booking import hand_out, make_book
from tests.buying import full_purchase
from tests.conftest import Database, Ground
from tests.driving import (
    cards_csv,
    drain,
    import_cards_now,
    recipients_csv,
    rows,
    submit,
    view,
)
from tests.emptied import own_database
from tests.partnering import full_partner
from tests.proof import violations
from tests.seeding import ACTOR, Seeded, seed

#: What a superuser without triggers must do to break one invariant and no other.
BREAKS = {
    "item-sums": "UPDATE jobs SET total = total + 1 WHERE id = '{ended}'",
    "item-counters": "UPDATE chunks SET succeeded = succeeded - 1, failed = failed + 1 "
    "WHERE job_id = '{ended}'",
    "ended-jobs": "INSERT INTO tasks (id, kind, args, queue, lane, job_id, run_after) "
    "VALUES (gen_random_uuid(), 'run_chunk', '{{}}', 'bulk', 'x', '{ended}', now())",
    "open-holds": "UPDATE holds SET amount = amount + 1 WHERE job_id = '{open}'; UPDATE accounts "
    "SET held = held + 1 WHERE id = (SELECT account_id FROM holds WHERE job_id = '{open}')",
    "one-effect": "UPDATE items SET result_id = gen_random_uuid() "
    "WHERE job_id = '{ended}' AND position = 1",
    "one-owner": "UPDATE cards SET state = 'issued' "
    "WHERE id = (SELECT id FROM cards WHERE state = 'available' LIMIT 1)",
    "transfers-balance": "UPDATE transfers SET amount = amount + 1 WHERE kind = 'top_up'",
    "captures-match": "UPDATE provisions SET transfer_id = "
    "(SELECT id FROM transfers WHERE kind = 'top_up') WHERE job_id = '{ended}' AND position = 1",
    "refunds-match": "UPDATE transfers SET kind = 'refund' WHERE kind = 'top_up'",
    "replaced-once": 'UPDATE jobs SET spec = spec || \'{{"replaces": "x"}}\' '
    "WHERE id = '{ended}'",
    "undone-unseen": "UPDATE jobs SET kind = 'provisioning_undo' WHERE id = '{ended}'",
    "balances": "UPDATE accounts SET balance = balance + 1 WHERE id = '{client_account}'; "
    "UPDATE accounts SET balance = balance - 1 WHERE kind = 'outside'",
    "receivables": "UPDATE accounts SET restricted_at = now() WHERE id = '{client_account}'",
    "held": "UPDATE accounts SET held = held + 1 WHERE id = '{client_account}'",
    "zero-sum": "INSERT INTO postings (transfer_id, account_id, amount, currency, balance_after) "
    "VALUES (gen_random_uuid(), '{client_account}', 1, 'USD', 0); "
    "UPDATE accounts SET balance = balance + 1 WHERE id = '{client_account}'",
    "bounded": "ALTER TABLE accounts DROP CONSTRAINT ck_accounts_available; "
    "UPDATE accounts SET unlimited = false WHERE kind = 'outside'",
    "rewards": "UPDATE campaigns SET max_rewards = 99",
    "pool-members": "INSERT INTO user_pools (id, agency_id, client_id, name, members, created_by) "
    "SELECT gen_random_uuid(), agency_id, id, 'Testers', 1, id FROM clients LIMIT 1",
    "codes": "UPDATE chunks SET succeeded = succeeded + 1 WHERE job_id = '{codes}'; "
    "UPDATE jobs SET total = total + 1 WHERE id = '{codes}'",
    "claims": "UPDATE coupon_events SET user_id = gen_random_uuid() "
    "WHERE coupon_id IN (SELECT coupon_id FROM claims)",
    "code-index": "INSERT INTO code_index (blind_index, book_id, coupon_id, agency_id, client_id) "
    "SELECT 'alias', book_id, coupon_id, agency_id, client_id FROM code_index LIMIT 1",
    "book-stock": "UPDATE book_deltas SET redeemed = redeemed + 1 "
    "WHERE id = (SELECT id FROM book_deltas LIMIT 1)",
    "discount-batches": "UPDATE chunks SET succeeded = succeeded + 1 WHERE job_id = '{discounts}'; "
    "UPDATE jobs SET total = total + 1 WHERE id = '{discounts}'",
    "discount-uses": "UPDATE discount_codes SET used = used + 3",
    "referral-rewards": "UPDATE referral_rewards SET state = 'issued', ended_at = now(), "
    "reward_code_id = code_id",
    "purchase-payments": "UPDATE purchases SET is_live = true",
    "purchase-slots": "UPDATE discount_usages SET purchase_id = NULL",
    "top-ups": "UPDATE payments SET state = 'succeeded' WHERE purpose = 'top_up'",
    "discount-stacks": "INSERT INTO discount_usages SELECT (jsonb_populate_record(u, "
    "jsonb_build_object('id', gen_random_uuid(), 'stacked_on', u.id, 'state', 'released', "
    "'release_reason', 'timeout', 'purchase_id', NULL))).* FROM discount_usages u",
    "discount-customers": "UPDATE discount_customers SET live = live + 1",
    "coupon-usage": "INSERT INTO coupon_usage_deltas (book_id, agency_id, client_id, day, assigned, "
    "released, redeemed, voided) SELECT id, agency_id, client_id, current_date, 0, 0, 1, 0 FROM books",
    "coupon-counts": "UPDATE coupon_counts SET redeemed = redeemed + 1 WHERE user_id <> '{whole}'",
    "imports": "DELETE FROM cards "
    "WHERE id = (SELECT id FROM cards WHERE state = 'available' LIMIT 1)",
    "vendor-cards": "UPDATE cards SET provider_order_id = NULL WHERE provider_order_id IS NOT NULL",
    "one-order": "DROP INDEX uq_provider_orders_live; INSERT INTO provider_orders (id, agency_id, "
    "client_id, job_id, position, brand_id, vendor, product, face_value_minor, currency) "
    "SELECT gen_random_uuid(), agency_id, client_id, job_id, position, brand_id, vendor, product, "
    "face_value_minor, currency FROM provider_orders",
    "moving": "DELETE FROM tasks WHERE job_id = '{open}'",
    "sealed": "UPDATE cards SET sealed_pin = convert_to('7391', 'UTF8') "
    "WHERE id = (SELECT id FROM cards WHERE state = 'available' LIMIT 1)",
    "audit-chain": "INSERT INTO audit_heads (stream, sequence, hash) VALUES ('platform', 9, 'x')",
}


@pytest.fixture
def database(ground: Ground) -> Iterator[Database]:
    """One of its own for each test: a constraint that is dropped here must be missed by nobody."""
    with own_database(ground) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Books:
    """A job that ended (two cards from stock, one from the vendor) and one that has not begun."""

    house: House
    url: str
    names: dict[str, UUID]

    def spoil(self, statements: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements.format(**self.names).split("; "):
                connection.execute(statement)

    def prove(self, **asked: object) -> Proof:
        with scoped_transaction(self.house.sessions, SYSTEM) as session:
            return prove(session, **asked)


@pytest.fixture
def books(vendor_house: House, database: Database) -> Books:
    seeded = seed(vendor_house)
    import_cards_now(vendor_house, seeded.csv_pool, cards_csv(2))
    codes = counted_codes(vendor_house, seeded)
    full_purchase(vendor_house, seeded)
    full_partner(vendor_house, seeded)
    ended = submit(vendor_house, seeded, recipients_csv(3))
    drain(vendor_house)
    import_cards_now(vendor_house, seeded.csv_pool, cards_csv(2))
    names = {
        "ended": ended,
        "open": submit(vendor_house, seeded, recipients_csv(2, start=10)),
        "client_account": seeded.client_account,
        "codes": codes,
        "discounts": rows(vendor_house, "SELECT id FROM discount_batches")[0].id,
        "whole": WHOLE_BOOK,
    }
    assert view(vendor_house, ended)["sources"] == {"csv": 2, "buffer": 0, "api": 1}
    return Books(vendor_house, database_url(database.admin_url, database.name), names)


def counted_codes(house: House, seeded: Seeded) -> UUID:
    """The job that made codes for a book whose people are counted, as is the book itself."""
    limits = {"max_assignments": 9, "max_assignments_per_user": 9}
    book_id = make_book(house, seeded, random_length=12, alphabet=PLAIN_ALPHABET, **limits)
    hand_out(house, book_id, (2, 1))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        count_people(session, book_id)
        count_book(session, book_id)
        who = {"actor_id": ACTOR, "key": None, "limits": house.limits}
        return accept_generation(session, book_id, 3, **who).job_id


def test_a_missing_count_of_a_whole_book_is_a_breach(books: Books):
    books.spoil("DELETE FROM coupon_counts WHERE user_id = '{whole}'")

    ((_id, (words,)),) = violations(books.house).items()
    assert words.endswith(": no count, 3 and 3")


def test_the_books_are_whole_before_anybody_breaks_them(books: Books):
    proof = books.prove()

    assert (proof.ok, proof.as_json()["complete"]) == (True, True)
    assert [finding.id for finding in proof.findings] == [one.id for one in INVARIANTS]
    checked = {finding.id: finding.checked for finding in proof.findings}
    assert (checked["item-sums"], checked["one-effect"], checked["vendor-cards"]) == (6, 5, 1)
    assert (checked["codes"], checked["book-stock"], checked["coupon-counts"]) == (1, 8, 1)
    assert checked["claims"] == 1


def test_there_is_a_breach_for_every_invariant():
    assert set(BREAKS) == {one.id for one in INVARIANTS}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_breach_is_reported_by_its_invariant_and_by_no_other(books: Books, broken: str):
    books.spoil(BREAKS[broken])

    assert set(violations(books.house)) == {broken}


def test_a_proof_of_one_job_sees_its_breach_and_no_other_jobs(books: Books):
    books.spoil(BREAKS["item-sums"])

    of_broken = books.prove(job_id=books.names["ended"])
    of_other = books.prove(job_id=books.names["open"])

    assert {f.id for f in of_broken.findings if not f.ok} == {"item-sums"}
    assert of_other.ok is True
    assert {f.id for f in of_other.findings} == {one.id for one in INVARIANTS if one.of_one_job}
    assert {f.id: f.checked for f in of_other.findings}["one-effect"] == 2


def test_a_proof_of_no_job_is_refused(books: Books):
    with pytest.raises(NotFound):
        books.prove(job_id=uuid4())


SLOW = Invariant("slow", "Takes long", "jobs", "SELECT 'late' FROM pg_sleep(60)")
QUICK = Invariant("quick", "Is quick", "jobs", "SELECT 'never' WHERE false")
BROKEN = Invariant("broken", "Is broken", "jobs", "SELECT 'always'")


def test_what_takes_too_long_is_not_finished_and_the_others_go_on(books: Books):
    proof = books.prove(invariants=(SLOW, QUICK), patience=Patience(statement_seconds=0.05))

    assert [(f.id, f.ok, f.complete) for f in proof.findings] == [
        ("slow", None, False),
        ("quick", True, True),
    ]
    assert proof.ok is None
    assert proof.as_json()["complete"] is False


def test_a_breach_outweighs_what_was_not_finished(books: Books):
    proof = books.prove(invariants=(SLOW, BROKEN), patience=Patience(statement_seconds=0.05))

    assert proof.ok is False


def test_after_the_budget_nothing_more_is_begun(books: Books):
    ticks = iter((0.0, 1.0, 2.0, 11.0, 11.0))

    proof = books.prove(
        invariants=(BROKEN, QUICK), patience=Patience(budget_seconds=10), tick=lambda: next(ticks)
    )

    assert [(f.id, f.complete, f.violations) for f in proof.findings] == [
        ("broken", True, ("always",)),
        ("quick", False, ()),
    ]


def test_rows_too_many_to_count_do_not_hide_that_the_invariant_holds(books: Books):
    uncounted = Invariant("many", "Many", "pg_sleep(60)", "SELECT 'never' WHERE false")

    proof = books.prove(invariants=(uncounted,), patience=Patience(statement_seconds=0.05))

    assert [(f.ok, f.checked) for f in proof.findings] == [(True, None)]


def test_a_proof_cannot_write(books: Books):
    with (
        pytest.raises(Exception, match="read-only transaction"),
        scoped_transaction(books.house.sessions, SYSTEM) as session,
    ):
        prove(session, invariants=(QUICK,))
        session.connection().exec_driver_sql("DELETE FROM schedule_runs")
