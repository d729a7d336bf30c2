"""The catalogue of task kinds, as pure data: what is deferred, where it runs, how it is driven."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Queue(StrEnum):
    """One worker group serves each queue."""

    INTERACTIVE = "interactive"
    BULK = "bulk"
    VENDORS = "vendors"
    DELIVERIES = "deliveries"


class Drive(StrEnum):
    """How the wrapper runs a kind."""

    #: The whole work is one transaction; the row lock is the lease and dies with the connection.
    ONE_TRANSACTION = "one_transaction"
    #: The work talks to the outside: lease and fencing token, no transaction open while it calls.
    STEPPED = "stepped"


class ScopeOf(StrEnum):
    """In whose scope the work runs."""

    TENANT = "tenant"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class TaskKind:
    """A named kind of background work; its actor has the same name.

    `lease_seconds` is the total deadline of the outside call (stepped kinds only); the wrapper
    adds the margin of `Limits.lease_margin_seconds`.
    """

    name: str
    queue: Queue
    drive: Drive = Drive.ONE_TRANSACTION
    scope: ScopeOf = ScopeOf.TENANT
    lease_seconds: float = 0.0
    runs_while_paused: bool = False


PLAN_JOB = TaskKind("plan_job", Queue.BULK, runs_while_paused=True)
RUN_CHUNK = TaskKind("run_chunk", Queue.BULK)
#: The same work for a request of one item, in the lane that bulk work never fills.
RUN_SINGLE = TaskKind("run_single", Queue.INTERACTIVE)
SETTLE_JOB = TaskKind("settle_job", Queue.INTERACTIVE, runs_while_paused=True)
IMPORT_CARDS = TaskKind("import_cards", Queue.BULK, scope=ScopeOf.SYSTEM)
#: Codes that were uploaded for a book.
IMPORT_CODES = TaskKind("import_codes", Queue.BULK)
#: A file of discount codes.
IMPORT_DISCOUNTS = TaskKind("import_discounts", Queue.BULK)
#: Adds up how many coupons of each book are in which state.
ADD_UP_BOOKS = TaskKind("add_up_books", Queue.BULK, scope=ScopeOf.SYSTEM)
#: A file of people, into a pool of theirs.
IMPORT_MEMBERS = TaskKind("import_members", Queue.BULK)
#: Those that begin what a job is for; what waits for the job's time waits with them.
BEGINNINGS = (
    RUN_CHUNK,
    RUN_SINGLE,
    IMPORT_CARDS,
    IMPORT_CODES,
    IMPORT_DISCOUNTS,
    IMPORT_MEMBERS,
)
#: What is left of setting a card batch aside, or of giving it back.
MOVE_CARDS = TaskKind("move_cards", Queue.BULK, scope=ScopeOf.SYSTEM)
PLACE_ORDER = TaskKind("place_order", Queue.VENDORS, Drive.STEPPED, lease_seconds=125.0)
RECOVER_ORDER = TaskKind(
    "recover_order", Queue.VENDORS, Drive.STEPPED, lease_seconds=45.0, runs_while_paused=True
)
#: The same work for an order that fills a pool: it is the platform's, and no tenant's.
PLACE_POOL_ORDER = replace(PLACE_ORDER, name="place_pool_order", scope=ScopeOf.SYSTEM)
RECOVER_POOL_ORDER = replace(RECOVER_ORDER, name="recover_pool_order", scope=ScopeOf.SYSTEM)
#: Buffers are looked at, and orders written for what they lack.
REFILL_BUFFERS = TaskKind("refill_buffers", Queue.BULK, scope=ScopeOf.SYSTEM)
RETENTION = TaskKind("retention", Queue.BULK, scope=ScopeOf.SYSTEM)
SEND_MAIL = TaskKind(
    "send_mail", Queue.DELIVERIES, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=60.0
)
#: The link of one issued card, to its recipient.
DELIVER = TaskKind("deliver", Queue.DELIVERIES, Drive.STEPPED, lease_seconds=60.0)
#: Makes deliveries of what happened, for the endpoints that are told of it.
PUBLISH_EVENTS = TaskKind("publish_events", Queue.INTERACTIVE, scope=ScopeOf.SYSTEM)
#: Of one endpoint, call after call: so it never has two at once, and a slow one holds one thread.
SEND_EVENTS = TaskKind(
    "send_events", Queue.DELIVERIES, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=30.0
)
PURGE_KEYS = TaskKind("purge_keys", Queue.BULK, scope=ScopeOf.SYSTEM)
#: Interactive, so that bulk work never makes the audit log wait.
SEAL_AUDIT = TaskKind("seal_audit", Queue.INTERACTIVE, scope=ScopeOf.SYSTEM)
WITNESS_AUDIT = TaskKind("witness_audit", Queue.BULK, scope=ScopeOf.SYSTEM)
#: Interactive, so that bulk work never hides what is wrong.
FOLD_ALERTS = TaskKind("fold_alerts", Queue.INTERACTIVE, scope=ScopeOf.SYSTEM)
#: Its snapshot is no transaction that may hold the task: it reads, then writes.
MONITOR = TaskKind(
    "monitor", Queue.INTERACTIVE, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=120.0
)
INTEGRITY_CHECK = TaskKind(
    "integrity_check", Queue.BULK, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=360.0
)
#: In the system's scope: a person is erased where the request says, drafts and users included.
ERASE_PERSON = TaskKind("erase_person", Queue.BULK, scope=ScopeOf.SYSTEM)
#: Adds up what was issued, by day.
ADD_UP_ISSUED = TaskKind("add_up_issued", Queue.BULK, scope=ScopeOf.SYSTEM)
#: Slots of discount codes that nobody paid in time.
RELEASE_EXPIRED = TaskKind("release_expired", Queue.BULK, scope=ScopeOf.SYSTEM)
#: Gives referrers what is due for purchases that were kept.
ISSUE_REWARDS = TaskKind("issue_rewards", Queue.BULK, scope=ScopeOf.SYSTEM)
#: An event of Stripe's.
HANDLE_EVENT = TaskKind("handle_event", Queue.INTERACTIVE, scope=ScopeOf.SYSTEM)
#: A purchase that nobody paid in time: its page ends, then its slot.
END_CHECKOUT = TaskKind(
    "end_checkout", Queue.VENDORS, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=70.0
)
SEND_REFUND = TaskKind(
    "send_refund", Queue.VENDORS, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=40.0
)
#: Events that nobody told us of.
PULL_EVENTS = TaskKind(
    "pull_events", Queue.VENDORS, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=600.0
)
#: Every night: counts of codes beside their uses, and Stripe's pages beside our payments.
RECONCILE_DISCOUNTS = TaskKind(
    "reconcile_discounts", Queue.BULK, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=600.0
)
RECONCILE_PAYMENTS = TaskKind(
    "reconcile_payments", Queue.VENDORS, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=600.0
)
#: Takes off locks of coupons that ran out.
TIDY_LOCKS = TaskKind("tidy_locks", Queue.BULK, scope=ScopeOf.SYSTEM)
#: Interactive: people wait for jobs that wait for credit.
FOLLOW_CREDIT = TaskKind("follow_credit", Queue.INTERACTIVE, scope=ScopeOf.SYSTEM)
#: Compares every account with its movements.
CHECK_BALANCES = TaskKind("check_balances", Queue.BULK, scope=ScopeOf.SYSTEM)
RESEAL = TaskKind("reseal", Queue.BULK, scope=ScopeOf.SYSTEM)
LOOK_AFTER_VENDORS = TaskKind("look_after_vendors", Queue.BULK, scope=ScopeOf.SYSTEM)
CHECK_VENDOR = TaskKind(
    "check_vendor", Queue.VENDORS, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=30.0
)
#: Catalogues of vendors: each account's, page by page.
SYNC_CATALOGUES = TaskKind("sync_catalogues", Queue.BULK, scope=ScopeOf.SYSTEM)
SYNC_CATALOGUE = TaskKind(
    "sync_catalogue", Queue.VENDORS, Drive.STEPPED, scope=ScopeOf.SYSTEM, lease_seconds=30.0
)

ALL: dict[str, TaskKind] = {
    kind.name: kind
    for kind in (
        PLAN_JOB,
        RUN_CHUNK,
        RUN_SINGLE,
        SETTLE_JOB,
        IMPORT_CARDS,
        IMPORT_CODES,
        IMPORT_DISCOUNTS,
        ADD_UP_BOOKS,
        IMPORT_MEMBERS,
        MOVE_CARDS,
        PLACE_ORDER,
        RECOVER_ORDER,
        PLACE_POOL_ORDER,
        RECOVER_POOL_ORDER,
        REFILL_BUFFERS,
        SEND_MAIL,
        DELIVER,
        PUBLISH_EVENTS,
        SEND_EVENTS,
        RETENTION,
        PURGE_KEYS,
        SEAL_AUDIT,
        WITNESS_AUDIT,
        FOLD_ALERTS,
        MONITOR,
        INTEGRITY_CHECK,
        ADD_UP_ISSUED,
        RELEASE_EXPIRED,
        ISSUE_REWARDS,
        HANDLE_EVENT,
        END_CHECKOUT,
        SEND_REFUND,
        PULL_EVENTS,
        RECONCILE_DISCOUNTS,
        RECONCILE_PAYMENTS,
        TIDY_LOCKS,
        ERASE_PERSON,
        RESEAL,
        FOLLOW_CREDIT,
        LOOK_AFTER_VENDORS,
        CHECK_VENDOR,
        SYNC_CATALOGUES,
        SYNC_CATALOGUE,
        CHECK_BALANCES,
    )
}
#: The version written into new tasks; workers accept this and the one before. It grows when a kind
#: comes to mean what older code would do wrongly. 2: a chunk may be one of an undo.
TASK_VERSION = 2
ACCEPTED_VERSIONS = frozenset({TASK_VERSION, TASK_VERSION - 1})

assert all((kind.drive is Drive.STEPPED) == (kind.lease_seconds > 0) for kind in ALL.values()), (
    "stepped kinds, and only they, have a lease"
)
