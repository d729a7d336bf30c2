"""The vendors there are: for each its adapter and how fast an account is called by default."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipelines.limits import Limits
from pipelines.providers.giftbit import GiftbitProvider
from pipelines.providers.ports import Provider
from pipelines.providers.reloadly import ReloadlyProvider
from pipelines.providers.tango import TangoProvider
from pipelines.providers.token_store import TokenStore
from pipelines.providers.transport import VendorTransport
from pipelines.providers.tremendous import TremendousProvider
from pipelines.vendor_settings import (
    GiftbitSettings,
    ReloadlySettings,
    TangoSettings,
    TremendousSettings,
    VendorSettings,
)


@dataclass(frozen=True, slots=True)
class Rate:
    """What a new account row starts with; an administrator may change it there."""

    per_minute: int
    burst: int


@dataclass(frozen=True, slots=True)
class Vendor:
    """How a vendor's adapter is made from its settings, and its rate.

    Where it signs in for a token (`shares_token`), `make` takes the `tokens` of all processes too.
    """

    make: Callable[..., Provider]
    rate: Rate
    shares_token: bool = False


def _reloadly(
    settings: ReloadlySettings, limits: Limits, *, tokens: TokenStore | None = None
) -> Provider:
    return ReloadlyProvider(
        VendorTransport(),
        auth_url=settings.auth_url,
        base_url=settings.base_url,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        limits=limits,
        tokens=tokens,
    )


def _tango(settings: TangoSettings, limits: Limits) -> Provider:
    return TangoProvider(
        VendorTransport(),
        base_url=settings.base_url,
        platform_name=settings.platform_name,
        platform_key=settings.platform_key,
        customer=settings.customer,
        account=settings.account,
        limits=limits,
    )


def _tremendous(settings: TremendousSettings, limits: Limits) -> Provider:
    return TremendousProvider(
        VendorTransport(), base_url=settings.base_url, api_key=settings.api_key, limits=limits
    )


def _giftbit(settings: GiftbitSettings, limits: Limits) -> Provider:
    return GiftbitProvider(
        VendorTransport(), base_url=settings.base_url, api_key=settings.api_key, limits=limits
    )


#: Vendor -> how it is made; the names are those of `VendorSettings`.
VENDORS: Mapping[str, Vendor] = {
    # None is published, and none was met at 80 calls side by side.
    "reloadly": Vendor(_reloadly, Rate(per_minute=6_000, burst=50), shares_token=True),
    # Documented: one call in a second. A little under it: no two calls take the same time to get there.
    "tango": Vendor(_tango, Rate(per_minute=58, burst=1)),
    # Ten calls a second are allowed; an older page says 60 in 30 seconds.
    "tremendous": Vendor(_tremendous, Rate(per_minute=600, burst=10)),
    # Adaptive, with room for bursts; no number is published.
    "giftbit": Vendor(_giftbit, Rate(per_minute=600, burst=20)),
}


def make_providers(
    settings: VendorSettings, limits: Limits, *, tokens: TokenStore | None
) -> dict[str, Provider]:
    """One adapter per vendor whose account is set up; without `tokens` each keeps its own."""
    providers: dict[str, Provider] = {}
    for name, vendor in VENDORS.items():
        account = getattr(settings, name)
        if account is not None:
            shared = {"tokens": tokens} if vendor.shares_token else {}
            providers[name] = vendor.make(account, limits, **shared)
    return providers
