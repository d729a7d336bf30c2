"""What a vendor sells, for pages and the API."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.errors import NotFound

_VENDOR = text("SELECT FROM vendor_accounts WHERE vendor = :vendor")
_LIST = text("""
SELECT p.*, (SELECT count(*) FROM brand_routes r
             WHERE r.vendor = p.vendor AND r.product = p.product) AS routes
FROM vendor_products p
WHERE p.vendor = :vendor AND (CAST(:before AS uuid) IS NULL OR p.id < :before)
  AND (NOT :with_routes OR EXISTS (SELECT FROM brand_routes r
       WHERE r.vendor = p.vendor AND r.product = p.product))
ORDER BY p.id DESC LIMIT :limit
""")


def list_products(
    session: Session,
    vendor: str,
    *,
    with_routes: bool = False,
    before: UUID | None = None,
    limit: int,
) -> list[Row[Any]]:
    """The products, latest listed first, and how many routes sell each; or `NotFound`.

    `with_routes`: only those that a route sells.
    """
    if session.execute(_VENDOR, {"vendor": vendor}).one_or_none() is None:
        raise NotFound
    values = {"vendor": vendor, "with_routes": with_routes, "before": before, "limit": limit}
    return list(session.execute(_LIST, values))
