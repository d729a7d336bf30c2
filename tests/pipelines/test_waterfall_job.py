"""A bulk job served from both pools and a vendor's absence, in this process."""

from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, submit, view
from tests.seeding import seed


def test_ec058_pools_are_drawn_in_order_and_the_rest_is_refused_uncharged(house: House) -> None:
    """EC-058: 60 CSV + 20 buffer cards, 100 recipients, no vendor."""
    seeded = seed(house, vendor=False)
    assert import_cards_now(house, seeded.csv_pool, cards_csv(60))["counts"]["succeeded"] == 60
    assert import_cards_now(house, seeded.buffer_pool, cards_csv(20))["counts"]["succeeded"] == 20

    job_id = submit(house, seeded, recipients_csv(100))
    before = view(house, job_id)
    drain(house)
    after = view(house, job_id)

    assert before["money"] == {
        "currency": "USD",
        "held_minor": 250_000,
        "captured_minor": 0,
        "released_minor": 0,
        "refunded_minor": 0,
    }
    assert after["state"] == "partially_succeeded"
    assert after["sources"] == {"csv": 60, "buffer": 20, "api": 0}
    assert (after["counts"]["succeeded"], after["counts"]["failed"]) == (80, 20)
    assert after["money"] == {
        "currency": "USD",
        "held_minor": 0,
        "captured_minor": 200_000,
        "released_minor": 50_000,
        "refunded_minor": 0,
    }
