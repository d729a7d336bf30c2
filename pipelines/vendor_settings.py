"""Where each outside company is and how we sign in: one class each, its variables beside its fields."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

#: What the sandbox's settings say instead of an account; refused in production.
SANDBOX_ACCOUNT = "sandbox"
#: How every secret begins that Stripe signs webhooks with.
WEBHOOK_SECRET_HEAD = "whsec_"

_Settings = TypeVar("_Settings")


def _address(variable: str, default: str) -> Any:
    """Where the vendor is; its own address unless something else is said."""
    return field(metadata={"variable": variable, "default": default})


def _account(variable: str) -> Any:
    """Part of how we sign in; none of these set means that we have no account there."""
    return field(metadata={"variable": variable})


def _secret(variable: str) -> Any:
    return field(repr=False, metadata={"variable": variable})


def _secrets(variable: str) -> Any:
    """Several at once, separated by commas: the old one counts until the new one is everywhere."""
    return field(repr=False, metadata={"variable": variable, "is_list": True})


@dataclass(frozen=True, slots=True)
class ReloadlySettings:
    """Reloadly's gift-card account."""

    auth_url: str = _address("RELOADLY_AUTH_URL", "https://auth.reloadly.com")
    base_url: str = _address("RELOADLY_BASE_URL", "https://giftcards.reloadly.com")
    client_id: str = _account("RELOADLY_CLIENT_ID")
    client_secret: str = _secret("RELOADLY_CLIENT_SECRET")


@dataclass(frozen=True, slots=True)
class TangoSettings:
    """The platform's key at Tango, and the customer's account that is debited."""

    base_url: str = _address("TANGO_BASE_URL", "https://api.tangocard.com/raas/v2")
    platform_name: str = _account("TANGO_PLATFORM_NAME")
    platform_key: str = _secret("TANGO_PLATFORM_KEY")
    customer: str = _account("TANGO_CUSTOMER")
    account: str = _account("TANGO_ACCOUNT")


@dataclass(frozen=True, slots=True)
class TremendousSettings:
    """Tremendous' account, paid from its balance."""

    base_url: str = _address("TREMENDOUS_BASE_URL", "https://api.tremendous.com/api/v2")
    api_key: str = _secret("TREMENDOUS_API_KEY")


@dataclass(frozen=True, slots=True)
class GiftbitSettings:
    """Giftbit's account."""

    base_url: str = _address("GIFTBIT_BASE_URL", "https://api.giftbit.com/papi/v1")
    api_key: str = _secret("GIFTBIT_API_KEY")


@dataclass(frozen=True, slots=True)
class TwilioSettings:
    """The account that sends our SMS, and who they come from: a number, a name or a service."""

    base_url: str = _address("TWILIO_BASE_URL", "https://api.twilio.com")
    account_sid: str = _account("TWILIO_ACCOUNT_SID")
    auth_token: str = _secret("TWILIO_AUTH_TOKEN")
    sender: str = _account("TWILIO_SENDER")


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """The account that takes payments, and the secrets its webhooks are signed with."""

    base_url: str = _address("STRIPE_API_BASE", "https://api.stripe.com")
    api_key: str = _secret("STRIPE_API_KEY")
    webhook_secrets: tuple[str, ...] = _secrets("STRIPE_WEBHOOK_SECRETS")

    @property
    def is_live(self) -> bool:
        """Whether the key is one for real money."""
        return self.api_key.startswith(("sk_live_", "rk_live_"))


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """The vendors whose account is set up here; None for the others."""

    reloadly: ReloadlySettings | None = None
    tango: TangoSettings | None = None
    tremendous: TremendousSettings | None = None
    giftbit: GiftbitSettings | None = None


#: Vendor -> its settings; a field of `VendorSettings` has the same name.
KINDS: Mapping[str, type[Any]] = {
    "reloadly": ReloadlySettings,
    "tango": TangoSettings,
    "tremendous": TremendousSettings,
    "giftbit": GiftbitSettings,
}
#: All companies with an account of ours, those that sell nothing included.
_EVERYONE: tuple[type[Any], ...] = (*KINDS.values(), TwilioSettings, StripeSettings)
#: What Twilio takes as a sender: a number in E.164, a name of 11 letters, a messaging service.
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|MG[0-9a-f]{32}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


def variables() -> tuple[str, ...]:
    """Every variable that says something about such a company."""
    return tuple(one.metadata["variable"] for kind in _EVERYONE for one in fields(kind))


def address_variables() -> tuple[str, ...]:
    """Those that say where a company is."""
    return tuple(name for kind in _EVERYONE for name in _addresses(kind))


def account_variables() -> tuple[str, ...]:
    """Those that say who we are there, secrets included."""
    return tuple(name for kind in _EVERYONE for name in _accounts(kind))


def secret_variables() -> tuple[str, ...]:
    """Those that nobody may see."""
    every = (one for kind in _EVERYONE for one in fields(kind))
    return tuple(one.metadata["variable"] for one in every if not one.repr)


def read_vendor_settings(environment: Mapping[str, str], faults: list[str]) -> VendorSettings:
    """The vendors that are set up; what one of them lacks is added to `faults`, named."""
    found = {name: read_one(kind, environment, faults) for name, kind in KINDS.items()}
    return VendorSettings(**found)


def read_sms_settings(environment: Mapping[str, str], faults: list[str]) -> TwilioSettings | None:
    """The account for SMS; None without one. What is wrong with it is added to `faults`."""
    found = read_one(TwilioSettings, environment, faults)
    if found is not None and _SENDER.fullmatch(found.sender) is None:
        faults.append(
            "TWILIO_SENDER is no sender; set it to a number such as +4930901820, a name of at most "
            "11 letters and digits, or the id of a messaging service (MG...)."
        )
    return found


def read_stripe_settings(
    environment: Mapping[str, str], faults: list[str]
) -> StripeSettings | None:
    """The account for payments; None without one. What is wrong with it is added to `faults`."""
    found = read_one(StripeSettings, environment, faults)
    if found is not None and not _are_webhook_secrets(found.webhook_secrets):
        faults.append(
            "STRIPE_WEBHOOK_SECRETS has a part that is no signing secret; set it to what Stripe "
            "shows beside the endpoint (whsec_...), the old and the new one with a comma between."
        )
    return found


def _are_webhook_secrets(secrets: tuple[str, ...]) -> bool:
    shape = re.compile(rf"{WEBHOOK_SECRET_HEAD}\S+")
    return bool(secrets) and all(shape.fullmatch(secret) for secret in secrets)


def read_one(
    kind: type[_Settings], environment: Mapping[str, str], faults: list[str]
) -> _Settings | None:
    """One vendor's settings; None where nothing of its account is said or something lacks."""
    accounts = _accounts(kind)
    missing = [name for name in accounts if not _said(environment, name)]
    if missing == accounts:
        return None
    if missing:
        said = next(name for name in accounts if name not in missing)
        faults.extend(f"Set {name} too, or unset {said}." for name in missing)
        return None
    told = {one.name: _told(environment, one.metadata) for one in fields(kind)}  # type: ignore[arg-type]
    return kind(**told)


def _told(environment: Mapping[str, str], what: Mapping[str, Any]) -> str | tuple[str, ...]:
    said = _said(environment, what["variable"])
    if what.get("is_list"):
        return tuple(part.strip() for part in said.split(",") if part.strip())
    return said or str(what["default"])


def _addresses(kind: type[Any]) -> list[str]:
    return [one.metadata["variable"] for one in fields(kind) if "default" in one.metadata]


def _accounts(kind: type[Any]) -> list[str]:
    return [one.metadata["variable"] for one in fields(kind) if "default" not in one.metadata]


def _said(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "").strip()
