"""A vendor is set up where its account is said whole; half of one is a fault with its remedy."""

import pytest

from pipelines.vendor_settings import (
    KINDS,
    VendorSettings,
    account_variables,
    address_variables,
    read_sms_settings,
    read_stripe_settings,
    read_vendor_settings,
    secret_variables,
    variables,
)


def accounts_of(vendor: str) -> list[str]:
    return [name for name in account_variables() if name.startswith(f"{vendor.upper()}_")]


def test_without_accounts_no_vendor_is_set_up_and_nothing_is_wrong():
    faults = []

    found = read_vendor_settings(dict.fromkeys(variables(), ""), faults)

    assert (found, faults) == (VendorSettings(), [])


@pytest.mark.parametrize("vendor", KINDS)
def test_an_account_alone_sets_a_vendor_up_at_its_own_address(vendor: str):
    faults = []

    found = read_vendor_settings(dict.fromkeys(accounts_of(vendor), "acme"), faults)

    settings = getattr(found, vendor)
    assert faults == []
    assert settings.base_url.startswith("https://")
    assert "sandbox" not in settings.base_url


@pytest.mark.parametrize("vendor", [one for one in KINDS if len(accounts_of(one)) > 1])
def test_half_an_account_is_named_with_what_is_missing(vendor: str):
    first, *others = accounts_of(vendor)
    faults = []

    found = read_vendor_settings({first: "acme"}, faults)

    assert getattr(found, vendor) is None
    assert faults == [f"Set {name} too, or unset {first}." for name in others]


@pytest.mark.parametrize("vendor", KINDS)
def test_a_secret_is_not_shown(vendor: str):
    secrets = [name for name in secret_variables() if name in accounts_of(vendor)]
    told = dict.fromkeys(accounts_of(vendor), "acme") | dict.fromkeys(secrets, "s3cret")

    assert secrets
    assert "s3cret" not in repr(read_vendor_settings(told, []))


TWILIO = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "s3cret"}


@pytest.mark.parametrize(
    ("sender", "is_one"),
    [
        ("+4930901820", True),
        ("Acme Gifts", True),
        ("MG" + "0a" * 16, True),
        ("4930901820", False),
        ("A name that is long", False),
        ("Acme!", False),
    ],
)
def test_an_sms_sender_is_a_number_a_short_name_or_a_service(sender: str, is_one: bool):
    faults: list[str] = []

    found = read_sms_settings(TWILIO | {"TWILIO_SENDER": sender}, faults)

    assert found is not None
    assert (found.base_url, "s3cret" in repr(found)) == ("https://api.twilio.com", False)
    assert [fault[:23] for fault in faults] == ([] if is_one else ["TWILIO_SENDER is no sen"])


def test_half_an_sms_account_is_named_with_what_is_missing():
    faults: list[str] = []

    assert read_sms_settings({}, faults) is None
    assert read_sms_settings(TWILIO, faults) is None
    assert faults == ["Set TWILIO_SENDER too, or unset TWILIO_ACCOUNT_SID."]


STRIPE = {"STRIPE_API_KEY": "sk_live_s3cret", "STRIPE_WEBHOOK_SECRETS": "whsec_new, whsec_old"}


def test_ec132_an_account_for_payments_may_have_several_signing_secrets():
    faults: list[str] = []

    found = read_stripe_settings(STRIPE, faults)

    assert found is not None
    assert (found.base_url, found.api_key) == ("https://api.stripe.com", "sk_live_s3cret")
    assert (found.webhook_secrets, faults) == (("whsec_new", "whsec_old"), [])
    assert not any(secret in repr(found) for secret in ("s3cret", "whsec_new", "whsec_old"))


def test_half_an_account_for_payments_is_named_with_what_is_missing():
    faults: list[str] = []

    assert read_stripe_settings({}, faults) is None
    assert read_stripe_settings({"STRIPE_API_KEY": "sk_live_1"}, faults) is None
    assert faults == ["Set STRIPE_WEBHOOK_SECRETS too, or unset STRIPE_API_KEY."]


@pytest.mark.parametrize("written", ["secret", "whsec_new,secret", "whsec_", "whsec_a b", ","])
def test_what_is_no_signing_secret_is_named_with_where_to_find_one(written: str):
    faults: list[str] = []

    read_stripe_settings(STRIPE | {"STRIPE_WEBHOOK_SECRETS": written}, faults)

    assert [fault[:31] for fault in faults] == ["STRIPE_WEBHOOK_SECRETS has a pa"]


def test_every_variable_is_an_address_or_part_of_an_account():
    assert sorted(variables()) == sorted(address_variables() + account_variables())
