"""The catalogue of alerts as pure data: what each means, how urgent it is, and what to do."""

from models.alerts import Severity
from pipelines.alerts import payment_kinds
from pipelines.alerts.kind import AlertKind

INVENTORY_EXPIRING = AlertKind(
    "inventory_expiring",
    "pool",
    Severity.WARNING,
    "Cards of a pool expire within the days that a recipient is promised: nobody is given them.",
    "Use or return them at the supplier before they expire, and import newer ones.",
)
POOL_DEPLETED = AlertKind(
    "pool_depleted",
    "pool",
    Severity.WARNING,
    "A pool has no usable cards left.",
    "Import cards or refill the buffer; until then cards are bought at the vendor.",
)

POOL_LOW = AlertKind(
    "pool_low",
    "pool",
    Severity.WARNING,
    "A pool has no more usable cards left than its watermark.",
    "Import cards or refill the buffer before it is empty.",
)
CAMPAIGN_DEPLETED = AlertKind(
    "campaign_depleted",
    "campaign",
    Severity.WARNING,
    "A campaign has no credit left to draw on.",
    "Allocate credit to it, or to its client if it shares the client's.",
)
PROVISIONING_FAILURES = AlertKind(
    "provisioning_failures",
    "client",
    Severity.WARNING,
    "Cards could not be issued within the last hour; the numbers count the reasons.",
    "Open the failures of the client's jobs, mend what each reason says, and retry.",
)
JOB_STALLED = AlertKind(
    "job_stalled",
    "job",
    Severity.WARNING,
    "Nothing of a job has moved for a quarter of an hour.",
    "Open the job's timeline: it says what it waits for.",
)
DEAD_LETTERS = AlertKind(
    "dead_letters",
    "task",
    Severity.WARNING,
    "Background work has spent its attempts and waits for a person.",
    "Open the dead letters, and replay or bury them.",
)
PROCESS_SILENT = AlertKind(
    "process_silent",
    "process",
    Severity.CRITICAL,
    "No process of a group has said for a while that it lives, or its work is not taken up.",
    "Start the group that is named, and read its log.",
)
ORDERS_UNKNOWN = AlertKind(
    "orders_unknown",
    "provider_order",
    Severity.WARNING,
    "Nobody knows what became of orders at a vendor; their credit is held and nothing is bought again.",
    "Recovery goes on asking. If the vendor is well, look the orders up there by their reference.",
)
BOOKS_BROKEN = AlertKind(
    "books_broken",
    "invariant",
    Severity.CRITICAL,
    "The books or the stock do not agree; the numbers count the rows that break a rule.",
    "Run `largesse prove`: it names the rows. Move no credit by hand before it is understood.",
)
BOOKS_UNPROVED = AlertKind(
    "books_unproved",
    "invariant",
    Severity.WARNING,
    "The invariants were not proved to their end within a day.",
    "Run `largesse prove`, and see that scheduler and bulk workers run.",
)
LOW_CREDIT = AlertKind(
    "low_credit",
    "account",
    Severity.WARNING,
    "An account's balance fell to 20, 10 or less than 1 percent of what it held when credit last came in.",
    "Allocate credit to it; at zero its campaigns pause and its jobs wait until then.",
)
SCHEDULED_JOB_UNPAYABLE = AlertKind(
    "scheduled_job_unpayable",
    "job",
    Severity.WARNING,
    "A scheduled job is not held for to its end, and at this pace its credit will not be there in time.",
    "Allocate credit to what its campaign draws on before it starts, or let it start later.",
)
LEDGER_DRIFT = AlertKind(
    "ledger_drift",
    "account",
    Severity.CRITICAL,
    "An account's balance or held credit is not what its movements add up to; it is frozen.",
    "Find out who changed it. Two people of the platform decide: POST /credit/accounts/{id}/unfreeze.",
)
CREDIT_OWED = AlertKind(
    "credit_owed",
    "account",
    Severity.CRITICAL,
    "A top-up was refunded or disputed after it was spent; its account owes, and nothing new is paid from it.",
    "Allocate credit to it: that pays what is owed, and all goes on. Two people may also write it off.",
)
SUSPICIOUS_REDEMPTIONS = AlertKind(
    "suspicious_redemptions",
    "campaign",
    Severity.WARNING,
    "Many different codes of a campaign were redeemed from one network or program within an hour.",
    "Look in the audit log for code.redeemed from that network. If it was no shop and no office, "
    "pause the campaign, and resolve the alert.",
)
BY_HAND = AlertKind(
    "by_hand",
    "alert",
    Severity.WARNING,
    "A person raised this; the note says why.",
    "Read the note, and resolve the alert when it is done.",
)

PROVIDER_AUTH = AlertKind(
    "provider_auth",
    "vendor_account",
    Severity.CRITICAL,
    "A vendor does not accept our keys: orders there wait, and jobs that need it are paused.",
    "Correct the vendor's keys in the settings and restart, or close its breaker on its page.",
)
ORDER_IN_REVIEW = AlertKind(
    "order_in_review",
    "provider_order",
    Severity.WARNING,
    "Nobody but a person can tell what became of a vendor's order; its credit stays held.",
    "Look at the order in the vendor's own pages, and resolve it on the vendor's page.",
)
VALUE_MISMATCH = AlertKind(
    "value_mismatch",
    "provider_order",
    Severity.WARNING,
    "A vendor sold another card than was ordered; it is set aside, and nobody gets it.",
    "Claim it at the vendor; the recipient's credit stays held until the order is resolved.",
)

REFILL_ORDER_UNCLEAR = AlertKind(
    "refill_order_unclear",
    "provider_order",
    Severity.WARNING,
    "An order that fills a buffer ended in a way that only a person can judge.",
    "Look at the order in the vendor's own pages, and resolve it on the vendor's page; until then its slot is not bought again.",
)

REFILL_CEILING_REACHED = AlertKind(
    "refill_ceiling_reached",
    "pool",
    Severity.WARNING,
    "A buffer lacks cards, and what may be spent on it today is spent.",
    "It goes on by itself tomorrow (UTC); raise the ceiling to go on now.",
)
REFILL_NO_ROUTE = AlertKind(
    "refill_no_route",
    "pool",
    Severity.WARNING,
    "A buffer lacks cards, and no vendor account sells them.",
    "Give its brand a route that sells this denomination, or import cards.",
)
REFILL_CAME_DEAR = AlertKind(
    "refill_came_dear",
    "pool",
    Severity.WARNING,
    "Cards that a buffer bought cost more than the brand's floor allows: nobody is given them.",
    "Correct the brand's floor or price, or what its route says that a card costs; set aside what stays too dear, or its places are not bought again.",
)
REFILL_PLAN_MISSED = AlertKind(
    "refill_plan_missed",
    "pool",
    Severity.WARNING,
    "The time of a launch came, and its cards were not in the pool.",
    "Import cards or refill the pool now; withdraw the plan if it is not wanted any more.",
)
MARGIN_BELOW_FLOOR = AlertKind(
    "margin_below_floor",
    "brand",
    Severity.WARNING,
    "Every card of a brand that could be had costs too much for what is charged; items wait, nothing was bought.",
    "Correct the brand's floor, routes or stock, and retry the job that is named.",
)
COST_ABOVE_EXPECTED = AlertKind(
    "cost_above_expected",
    "brand",
    Severity.WARNING,
    "A vendor took more for a card than its route says that it costs.",
    "Look the order up at the vendor, and correct the cost of the brand's route.",
)
ROUTE_SELLS_AT_LOSS = AlertKind(
    "route_sells_at_loss",
    "route",
    Severity.WARNING,
    "A card that was bought by a route whose cost nobody knows cost more than its charge and the brand's floor allow.",
    "Say what the route's cards cost, or correct the brand's price or floor: until then cards go on being bought there.",
)
STATEMENT_DIFFERS = AlertKind(
    "statement_differs",
    "vendor_account",
    Severity.WARNING,
    "A vendor's statement of a day and our orders there do not agree; the numbers count how.",
    "Open the statement's findings, settle each with the vendor, and take the statement again.",
)
ROUTE_PRODUCT_GONE = AlertKind(
    "route_product_gone",
    "brand",
    Severity.WARNING,
    "A vendor's catalogue does not list what a route of a brand sells.",
    "Correct the route's product, or give the brand another route.",
)
ROUTE_DOES_NOT_FIT = AlertKind(
    "route_does_not_fit",
    "brand",
    Severity.WARNING,
    "By the vendor's catalogue a route of a brand sells cards of another currency or country; nothing is bought there.",
    "Give the brand another route; if the catalogue is wrong about the country, say the route's own.",
)
ROUTE_BELOW_FLOOR = AlertKind(
    "route_below_floor",
    "brand",
    Severity.WARNING,
    "By the vendor's prices a route of a brand earns less than the brand's floor for some cards; they are not bought there.",
    "Correct the brand's price or floor, or give it another route.",
)

WEBHOOK_FAILING = AlertKind(
    "webhook_failing",
    "webhook_endpoint",
    Severity.WARNING,
    "An endpoint that is told of events does not take them; after three days it is disabled.",
    "See its last deliveries, mend the receiver, and send it a test. What it missed, send again.",
)

ALL: dict[str, AlertKind] = {
    kind.name: kind
    for kind in (
        POOL_LOW,
        INVENTORY_EXPIRING,
        POOL_DEPLETED,
        CAMPAIGN_DEPLETED,
        PROVISIONING_FAILURES,
        JOB_STALLED,
        DEAD_LETTERS,
        PROCESS_SILENT,
        ORDERS_UNKNOWN,
        BOOKS_BROKEN,
        BOOKS_UNPROVED,
        LOW_CREDIT,
        SCHEDULED_JOB_UNPAYABLE,
        LEDGER_DRIFT,
        CREDIT_OWED,
        SUSPICIOUS_REDEMPTIONS,
        BY_HAND,
        PROVIDER_AUTH,
        ORDER_IN_REVIEW,
        VALUE_MISMATCH,
        REFILL_ORDER_UNCLEAR,
        REFILL_CEILING_REACHED,
        REFILL_NO_ROUTE,
        REFILL_CAME_DEAR,
        REFILL_PLAN_MISSED,
        WEBHOOK_FAILING,
        MARGIN_BELOW_FLOOR,
        COST_ABOVE_EXPECTED,
        ROUTE_SELLS_AT_LOSS,
        STATEMENT_DIFFERS,
        ROUTE_PRODUCT_GONE,
        ROUTE_DOES_NOT_FIT,
        ROUTE_BELOW_FLOOR,
        *payment_kinds.ALL,
    )
}


def kind_named(name: str) -> AlertKind:
    """The kind of a stored alert; one of another release says only its name."""
    unknown = AlertKind(
        name,
        "",
        Severity.WARNING,
        "This release does not know what this alert is about.",
        "Look at it with the release that raised it, or resolve it.",
    )
    return ALL.get(name, unknown)
