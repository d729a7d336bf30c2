"""The ways in which card pools and imports say no."""

from pipelines.errors import Kind, Refusal


class PoolExists(Refusal):
    """There is a pool of this brand, denomination, currency and kind already."""

    code = "pool_exists"
    kind = Kind.CONFLICT
    detail = "There is a pool of this brand, denomination and kind already; import into it."


class CurrencyMismatch(Refusal):
    """A pool holds cards in its brand's currency."""

    code = "currency_mismatch"
    detail = "The pool and its brand have different currencies."


class BrandUnavailable(Refusal):
    """The client whose pool it would be may not draw on the brand."""

    code = "brand_unavailable"
    detail = "This brand is not available to the client, who could not use the pool."
