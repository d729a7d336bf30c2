"""The vendors on the bench: one entry each."""

from pipelines.providers.ports import Balance
from tests.providers.conformance.bench import Goods, Habits

HABITS = {
    "reloadly": Habits(
        Goods("120", 2510, "USD", cost=(2372, "USD")),
        unsold="999",
        bad_amount_minor=99_999_00,
        funds=Balance(100_000_000_000, "USD"),
        dead_ends=({"then": "FAILED"}, {"then": "REFUNDED"}),
        wrong_value={"unit_price": 50},
    ),
    "tango": Habits(
        Goods("U120000", 2510, "USD", cost=(2510, "USD")),
        unsold="U999999",
        bad_amount_minor=99_999_00,
        funds=Balance(100_000_000_000, "USD"),
        dead_ends=({"then": "FAILED"},),
        throttle_default_seconds=1.0,
    ),
    "tremendous": Habits(
        Goods("NILEVISAUS01", 2510, "USD", cost=(2585, "USD")),
        unsold="NILENOTHING1",
        bad_amount_minor=99_999_00,
        funds=Balance(100_000_000, "USD"),
        dead_ends=({"then": "FAILED"}, {"then": "REFUNDED"}),
        wrong_value={"denomination": 50},
        throttle_default_seconds=1.0,
    ),
    "giftbit": Habits(
        Goods("nilemusicus", 2510, "USD", cost=(2525, "USD")),
        unsold="nilenothing",
        bad_amount_minor=99_999_00,
        bad_amount_code="product_unavailable",
        funds=Balance(100_000_000, "USD"),
        order_call="POST /direct_links",
        wrong_value={"price_in_cents": 5_000},
        queues_without_funds=True,
    ),
}
