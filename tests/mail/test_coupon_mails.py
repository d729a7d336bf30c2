"""Whoever holds a coupon is told by mail that it was redeemed, where its book says so (S1-110)."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models import clock
from models.books import CouponState
from models.database import scoped_transaction
from models.people import Role
from models.scope import client
from pipelines.books.read import book_rules
from pipelines.mail.post import opened
from pipelines.redemption.tell_holder import tell_holder
from pipelines.wiring import House, build_handlers
from tests.booking import make_book
from tests.canary import MARK
from tests.conftest import Database
from tests.couponing import act, bring, coupon, end_of, finish, known_to, put_codes
from tests.driving import change, drain, rows
from tests.mail.conftest import ANN
from tests.pipelines.test_pause_beside_chunk import is_somebody_waiting
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.until import until
from tests.vendor import Sandbox
from tests.web.conftest import Caller, make_user, signed_in
from tests.web.test_erasures import ask, fetch, hold
from web.app import create_app
from workers.wrapper import Wrapper

SUBJECT = "Your coupon of Summer & Sun was redeemed"
MAILS = "SELECT state, code FROM outgoing_mails WHERE template = 'coupon_redeemed'"


@dataclass(frozen=True)
class Shop:
    """A client whose manager redeems what Ann, an end user, holds."""

    house: House
    app: Flask
    seeded: Seeded
    manager: Caller
    ann: UUID

    def coupon(self, holder: UUID | None = None, *, seals: bool = False, **rules: Any) -> str:
        """The code of a coupon that Ann holds, of a book that tells unless `rules` say otherwise."""
        told = {"name": "Summer & Sun", "tells_holder": True, "seals_codes": seals} | rules
        book_id = make_book(self.house, self.seeded, **told)
        # Marked where it is secret: whatever column, log or message shows it fails the test.
        code = (f"{MARK}-" if seals else "") + token_hex(8).upper()
        put_codes(self.house, self.seeded, book_id, 0, code, seals=seals)
        bring(self.house, self.seeded, code, CouponState.ASSIGNED, holder or self.ann)
        return code

    def ask(self, code: str, holder: UUID | None = None) -> Any:
        body = {"user_id": str(holder or self.ann)}
        answer = act(self.manager, f"/coupons/redeem/{code}", body)
        assert answer.status_code == 202, answer.json
        return answer

    def redeem(self, code: str, holder: UUID | None = None) -> None:
        status, ended = end_of(self.house, self.manager, self.ask(code, holder))
        assert status == 200, ended


@pytest.fixture
def shop(mail_house: House) -> Shop:
    seeded = seed(mail_house, vendor=False)
    app = create_app(mail_house)
    ann = make_user(mail_house, ANN, Role.END_USER)
    known_to(mail_house, seeded, ann)
    manager = signed_in(app, mail_house, Role.CAMPAIGN_MANAGER, seeded)
    return Shop(mail_house, app, seeded, manager, ann)


def letters(house: House) -> list[tuple[str | None, dict[str, str]]]:
    """Address and values of each mail about a redemption that waits."""
    found = rows(
        house,
        "SELECT id, sealed_letter FROM outgoing_mails "
        "WHERE template = 'coupon_redeemed' AND state = 'waiting'",
    )
    told = [opened(house.settings.keyring, row.id, row.sealed_letter) for row in found]
    return [(to, {name: one.reveal() for name, one in values.items()}) for to, values in told]


def test_s1_110_the_holder_is_told_which_book_when_and_whom_to_ask(
    shop: Shop, sandbox: Sandbox
) -> None:
    code = shop.coupon()

    shop.redeem(code)

    (mail,) = sandbox.mails(ANN)
    assert mail["subject"] == SUBJECT
    said = f"Your coupon of Summer & Sun from Client, whose code ends in {code[-4:]}, was redeemed"
    assert said in mail["text"]
    assert re.search(r"was redeemed on \d{1,2} [A-Z][a-z]+ \d{4} at \d\d:\d\d UTC\.", mail["text"])
    assert "If it was not you, and nobody did it for you, ask Client, who gave it" in mail["text"]
    assert "http://127.0.0.1:8000/console/my/coupons" in mail["text"]
    assert "more time" not in mail["text"]
    assert rows(shop.house, MAILS) == [("sent", None)]
    assert_proven(shop.house)


def test_s1_110_a_book_that_does_not_tell_writes_no_mail(shop: Shop, sandbox: Sandbox) -> None:
    shop.redeem(shop.coupon(tells_holder=False))

    assert rows(shop.house, MAILS) == []
    assert sandbox.mails() == []


def test_s1_110_a_message_that_comes_again_sends_no_second_mail(
    shop: Shop, sandbox: Sandbox
) -> None:
    """EC-064: redelivered after the commit, before the acknowledgement."""
    shop.ask(shop.coupon())
    (task,) = rows(shop.house, "SELECT id FROM tasks")
    wrapper = Wrapper(shop.house.sessions, build_handlers(shop.house))

    wrapper.run(task.id, 1)
    wrapper.run(task.id, 1)
    drain(shop.house)

    assert rows(shop.house, MAILS) == [("sent", None)]
    assert len(sandbox.mails(ANN)) == 1


def test_s1_110_each_redemption_of_a_coupon_is_told_once_with_what_is_left(
    shop: Shop, sandbox: Sandbox
) -> None:
    code = shop.coupon(allow_multi_redemption=True, max_redemptions_per_coupon=3)

    for _time in range(3):
        shop.redeem(code)

    texts = [mail["text"] for mail in reversed(sandbox.mails(ANN))]
    assert [re.findall(r"^It can.*$", text, re.MULTILINE) for text in texts] == [
        ["It can be redeemed 2 more times."],
        ["It can be redeemed 1 more time."],
        ["It cannot be redeemed again."],
    ]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_redemptions_per_user": 2}, "It can be redeemed 1 more time."),
        (
            {"max_redemptions_per_user": 2, "max_redemptions_per_coupon": 9},
            "It can be redeemed 1 more time.",
        ),
        ({}, "It can be redeemed again, for as long as its book allows."),
    ],
)
def test_s1_110_what_is_left_is_what_coupon_and_person_may_still_do(
    shop: Shop, sandbox: Sandbox, limits: dict[str, int], words: str
) -> None:
    shop.redeem(shop.coupon(allow_multi_redemption=True, **limits))

    (mail,) = sandbox.mails(ANN)
    assert words in mail["text"]
    assert words in mail["html"]


def test_s1_110_a_refused_redemption_is_told_to_nobody(shop: Shop, sandbox: Sandbox) -> None:
    """The book was closed after the request was accepted."""
    asked = shop.ask(shop.coupon())
    change(shop.house, "UPDATE books SET closed_at = now()")

    status, ended = end_of(shop.house, shop.manager, asked)

    assert (status, ended["code"]) == (409, "book_closed")
    assert rows(shop.house, MAILS) == []
    assert sandbox.mails() == []


def test_s1_110_no_code_of_a_sealed_book_stands_in_a_mail_or_in_what_waits(
    shop: Shop, sandbox: Sandbox
) -> None:
    code = shop.coupon(seals=True)
    shop.ask(code)
    (task,) = rows(shop.house, "SELECT id FROM tasks")

    Wrapper(shop.house.sessions, build_handlers(shop.house)).run(task.id, 1)
    waiting = letters(shop.house)
    finish(shop.house)

    (mail,) = sandbox.mails(ANN)
    assert [address for address, _values in waiting] == [ANN]
    assert waiting[0][1]["ending"] == code[-4:]
    assert f"whose code ends in {code[-4:]}" in mail["text"]
    assert [part for part in (MARK, code[-5:]) if part in f"{waiting}{mail}"] == []


def test_s1_110_the_mail_goes_to_the_address_that_the_client_has(
    shop: Shop, sandbox: Sandbox
) -> None:
    """Another client calls the same person otherwise, and so does their own account."""
    change(
        shop.house,
        "UPDATE client_users SET email = 'ann@at-work.example' WHERE user_id = :ann",
        ann=shop.ann,
    )

    shop.redeem(shop.coupon())

    assert sandbox.mails(ANN) == []
    assert len(sandbox.mails("ann@at-work.example")) == 1


def test_s1_110_whom_the_client_has_no_address_of_is_not_told(shop: Shop, sandbox: Sandbox) -> None:
    change(
        shop.house,
        "UPDATE client_users SET email = NULL, email_normalised = NULL, external_id = 'A-7' "
        "WHERE user_id = :ann",
        ann=shop.ann,
    )

    shop.redeem(shop.coupon())

    assert rows(shop.house, MAILS) == []
    assert sandbox.mails() == []


def test_s1_110_who_is_disabled_gets_no_mail(shop: Shop, sandbox: Sandbox) -> None:
    code = shop.coupon()
    change(shop.house, "UPDATE users SET disabled_at = now() WHERE id = :ann", ann=shop.ann)

    shop.redeem(code)

    assert rows(shop.house, MAILS) == []
    assert sandbox.mails() == []


def test_s1_110_who_was_erased_gets_no_mail(shop: Shop, sandbox: Sandbox) -> None:
    code = shop.coupon()
    forget(shop, shop.seeded)

    shop.redeem(code)

    assert rows(shop.house, MAILS) == []
    assert sandbox.mails() == []


def test_s1_110_a_mail_that_waits_ends_when_its_reader_is_erased_at_its_client_alone(
    shop: Shop, sandbox: Sandbox
) -> None:
    """What another client wrote to the same person is its own."""
    other = seed(shop.house, vendor=False)
    known_to(shop.house, other, shop.ann)
    shop.ask(shop.coupon())
    work(shop.house)
    hold(shop.house, "send_mail")

    forget(shop, other)
    after_other = rows(shop.house, MAILS)
    forget(shop, shop.seeded)
    finish(shop.house)

    assert after_other == [("waiting", None)]
    assert rows(shop.house, MAILS) == [("gave_up", "erased")]
    assert sandbox.mails() == []


def test_s1_110_a_mail_that_waits_ends_when_its_reader_is_erased_everywhere(
    shop: Shop, sandbox: Sandbox
) -> None:
    shop.ask(shop.coupon())
    work(shop.house)
    hold(shop.house, "send_mail")

    forget(shop, None)
    finish(shop.house)

    assert rows(shop.house, MAILS) == [("gave_up", "erased")]
    assert sandbox.mails() == []


def test_s1_110_an_erasure_waits_for_a_mail_that_is_being_written_and_ends_it(
    shop: Shop, sandbox: Sandbox, database: Database
) -> None:
    code = shop.coupon()
    held = coupon(shop.house, shop.seeded, code)
    # Asked before: the erasure does not wait for it as for whoever wrote earlier.
    eraser = signed_in(shop.app, shop.house, Role.CLIENT_ADMIN, shop.seeded)
    asked = ask(eraser, {"email": ANN, "reason": "asked by letter"})
    with ThreadPoolExecutor(1) as pool:
        with scoped_transaction(shop.house.sessions, client(shop.seeded.client_id)) as session:
            rules = book_rules(session, held.book_id)
            keyring, now = shop.house.settings.keyring, clock.now(session)
            tell_holder(session, rules, held, keyring=keyring, now=now)
            erasing = pool.submit(work, shop.house)
            until(lambda: is_somebody_waiting(database) or erasing.done())
        erasing.result(timeout=30)
    drain(shop.house)

    assert fetch(eraser, asked["id"])["state"] == "finished"
    assert rows(shop.house, MAILS) == [("gave_up", "erased")]
    assert sandbox.mails() == []


def forget(shop: Shop, where: Seeded | None) -> None:
    """Ann is erased, at one client or everywhere; mails stay as they are."""
    role = Role.CLIENT_ADMIN if where else Role.PLATFORM_ADMIN
    caller = signed_in(shop.app, shop.house, role, where, name="eraser.")
    asked = ask(caller, {"email": ANN, "reason": "asked by letter"})
    drain(shop.house)
    assert fetch(caller, asked["id"])["state"] == "finished"


def work(house: House) -> None:
    """Do what was accepted, and send no mail yet."""
    wrapper = Wrapper(house.sessions, build_handlers(house))
    for task in rows(house, "SELECT id FROM tasks WHERE kind <> 'send_mail'"):
        wrapper.run(task.id, 1)
