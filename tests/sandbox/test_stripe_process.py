"""The sandbox's Stripe as a process: what a restart keeps, and whom it tells from the start."""

from pathlib import Path

from tests.sandbox.conftest import start_sandbox
from tests.sandbox.stripes import SECRET, Shop


def test_a_restart_with_a_file_keeps_sessions_answers_and_what_waits(tmp_path: Path):
    first = start_sandbox(tmp_path / "sandbox.sqlite3")
    before = Shop(first)
    before.put("deliveries", mode="held")
    before.put("endpoint", url=f"{first.url}/receiver/hook", secrets=[SECRET])
    made = before.open(key="checkout:1")
    before.move(made, "pay")
    first.stop()

    second = start_sandbox(tmp_path / "sandbox.sqlite3")
    after = Shop(second)
    again = after.open(key="checkout:1")
    found, types = after.session(made.id), after.types()
    held = {one["state"] for one in after.deliveries()["deliveries"]}
    after.put("endpoint", url=f"{second.url}/receiver/hook", secrets=[SECRET])
    after.steer("deliveries/release")
    heard = after.heard()
    second.stop()

    assert again.id == made.id
    assert (found.status, found.payment_status) == ("complete", "paid")
    assert types[-1] == "checkout.session.completed"
    assert (held, len(heard)) == ({"held"}, 4)


def test_the_endpoint_of_the_start_outlives_a_restart_and_a_reset(tmp_path: Path):
    data = tmp_path / "sandbox.sqlite3"
    first = start_sandbox(data, hook_secrets=f"{SECRET}, whsec_KANARIE0two")
    shop = Shop(first)
    shop.v1.checkout.sessions.expire(shop.open().id)
    told = [
        event.type
        for secret in (SECRET, "whsec_KANARIE0two")
        for event in shop.heard("boot", secret)
    ]
    first.call("POST", "/control/reset")
    first.stop()

    second = start_sandbox(data, hook_secrets=SECRET)
    shop = Shop(second)
    second.call("POST", "/control/reset")
    shop.v1.checkout.sessions.expire(shop.open().id)
    told_again = [event.type for event in shop.heard("boot")]
    second.stop()

    assert told == ["checkout.session.expired"] * 2
    assert told_again == ["checkout.session.expired"]


def test_a_reset_forgets_sessions_events_keys_and_settings():
    running = start_sandbox(hook_secrets=SECRET)
    shop = Shop(running)
    shop.put("switches", refund_status="pending")
    shop.put("deliveries", mode="off")
    shop.listen()
    first = shop.open(key="checkout:1")

    running.call("POST", "/control/reset")
    second = shop.open(key="checkout:1")
    endpoints = running.call("GET", "/control/stripe/endpoints").json()["endpoints"]
    switches = running.call("GET", "/control/stripe/switches").json()
    mode = shop.deliveries()["mode"]
    running.stop()

    assert second.id != first.id
    assert [one["url"] for one in endpoints] == [f"{running.url}/receiver/boot"]
    assert (switches["refund_status"], mode) == ("succeeded", "on")
