"""Rules about discount codes, broken one at a time: who gets a slot, for how long and at what price."""

from tests.mutants.mutants import Mutant

RACES = ("tests/web/test_discount_races.py",)
ENDS = ("tests/web/test_reservation_ends.py",)
APPLIED = ("tests/web/test_reservations.py",)
KNOWN = ("tests/web/test_customers_known.py",)
PRICES = ("tests/rules/test_discount_pricing.py",)
JOBS_AT_ONCE = ("tests/pipelines/test_discount_job_races.py",)
GENERATED = ("tests/pipelines/test_discount_generation.py",)
STACKS = ("tests/web/test_stacked_codes.py",)
STACKED_PRICES = ("tests/rules/test_discount_stacking.py",)
STACKS_PAID = ("tests/checkout/test_stacked_checkout.py",)
PUBLIC = ("tests/web/test_public_discounts.py",)

DISCOUNTS = (
    Mutant(
        "codes of one cart take off in the order in which they came",
        "pipelines/discounts/stacking.py",
        "for one in sorted(codes, key=_place):",
        "for one in codes:",
        STACKED_PRICES,
    ),
    Mutant(
        "codes of one group go on one cart",
        "pipelines/discounts/stacking.py",
        "if one.rules.stacking_group == group)",
        "if one.rules.stacking_group is group is None)",
        STACKED_PRICES,
    ),
    Mutant(
        "only the first code of a cart is given back",
        "pipelines/discounts/release.py",
        "give_back(session, [*found, *others], carts=found, timed_out=is_timeout)",
        "give_back(session, found, carts=found, timed_out=is_timeout)",
        STACKS,
    ),
    Mutant(
        "each code of a cart is one of its customer's reservations",
        "pipelines/discounts/release.py",
        "give_back(session, [*found, *others], carts=found, timed_out=is_timeout)",
        "give_back(session, [*found, *others], carts=[*found, *others], timed_out=is_timeout)",
        STACKS,
    ),
    Mutant(
        "a late payment confirms the codes of a cart that take it, and no other",
        "pipelines/discounts/settle.py",
        "if any(one.on_late == OnLate.REFUND for one in beside):",
        "if all(one.on_late == OnLate.REFUND for one in beside) and len(beside) == len(usages):",
        STACKS_PAID,
    ),
    Mutant(
        "the revenue of a cart is counted for each of its codes",
        "pipelines/discounts/analytics.py",
        "sum({_KEPT}) FILTER (WHERE u.stacked_on IS NULL)",
        "sum({_KEPT})",
        STACKS_PAID,
    ),
    Mutant(
        "a slot is taken whatever the limit of the discount",
        "pipelines/discounts/take.py",
        "AND used < coalesce(max_uses, used + 1)",
        "AND used <= coalesce(max_uses, used)",
        RACES,
    ),
    Mutant(
        "a full discount code looks for no abandoned slots",
        "pipelines/discounts/give_way.py",
        "PASSING = (AlreadyReserved, AlreadyUsed, SlotExhausted, TooManyReservations, InTheWay)",
        "PASSING = (InTheWay,)",
        ENDS,
    ),
    Mutant(
        "who finds abandoned discount slots in hand does not wait",
        "pipelines/discounts/release.py",
        "LIMIT :limit)) ORDER BY id FOR UPDATE",
        "LIMIT :limit)) ORDER BY id FOR UPDATE SKIP LOCKED",
        RACES,
    ),
    Mutant(
        "a discount slot that is given back stays counted for its customer",
        "pipelines/discounts/release.py",
        "SET uses = c.uses - n.slots",
        "SET uses = c.uses",
        RACES,
    ),
    Mutant(
        "the cart's own abandoned slot waits behind others of the discount",
        "pipelines/discounts/release.py",
        "ORDER BY cart_reference = :cart OR customer_keys && CAST(:keys AS bytea[]) DESC",
        "ORDER BY id",
        KNOWN,
    ),
    Mutant(
        "a double click on a discount is refused beside the first click",
        "pipelines/discounts/give_way.py",
        "PASSING = (AlreadyReserved,",
        "PASSING = (",
        RACES,
    ),
    Mutant(
        "a changed cart is priced by the discount's rules of today",
        "pipelines/discounts/stack.py",
        "r.version = u.rules_version\nWHERE u.id",
        "r.version = (SELECT c.rules_version FROM discount_codes c WHERE c.id = u.code_id)\n"
        "WHERE u.id",
        ENDS,
    ),
    Mutant(
        "a discount customer is as many people as names",
        "pipelines/discounts/count_customers.py",
        "if len(whole) > 1:",
        "if len(whole) > 9:",
        ENDS,
    ),
    Mutant(
        "mailboxes of a discount customer differ by dots and tags",
        "pipelines/discounts/customers.py",
        "if domain in ALIASING | TAGGING:",
        "if False:",
        APPLIED,
    ),
    Mutant(
        "any client that is named is reserved at with a discount",
        "web/tenant_choice.py",
        "return UUID(str(client(session, given).id))",
        "return given",
        ENDS,
    ),
    Mutant(
        "the cents of a discount are shared out one too few",
        "pipelines/discounts/pricing.py",
        "for place in order[: amount_minor - sum(shares)]:",
        "for place in order[: amount_minor - sum(shares) - 1]:",
        PRICES,
    ),
    Mutant(
        "a discount of half a unit is rounded down",
        "pipelines/discounts/pricing.py",
        "return (amount_minor * basis_points + WHOLE_BP // 2) // WHOLE_BP",
        "return amount_minor * basis_points // WHOLE_BP",
        PRICES,
    ),
    Mutant(
        "a discount code is good at the very moment of its end",
        "pipelines/discounts/rules.py",
        "now >= rules.expires_at",
        "now > rules.expires_at",
        PRICES,
    ),
    Mutant(
        "a batch of discount codes is moved past a chunk that makes some",
        "pipelines/discounts/batches.py",
        "WHERE id = :batch FOR SHARE",
        "WHERE id = :batch",
        JOBS_AT_ONCE,
    ),
    Mutant(
        "discount codes that are being made take no room in their pattern",
        "pipelines/discounts/generate.py",
        "AND j.state IN ('queued', 'running', 'paused', 'cancelling')",
        "AND j.state IN ('paused', 'cancelling')",
        GENERATED,
    ),
    Mutant(
        "a discount code that is taken while its file is worked in is passed over",
        "pipelines/jobs/file_rows.py",
        "        return False\n    for statement in others:",
        "        return True\n    for statement in others:",
        JOBS_AT_ONCE,
    ),
    Mutant(
        "whoever guesses discount codes of no shape is answered sooner",
        "pipelines/discounts/public_look.py",
        "row = session.execute(_LOOK, values).one_or_none()",
        "row = session.execute(_LOOK, values).one_or_none() if len(typed) < 65 else None",
        PUBLIC,
    ),
)
