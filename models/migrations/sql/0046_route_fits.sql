-- When a vendor's catalogue was last read to its end: only then does it say what is not sold there.
ALTER TABLE vendor_accounts ADD COLUMN IF NOT EXISTS catalogue_read_at TIMESTAMP WITH TIME ZONE;
UPDATE vendor_accounts v SET catalogue_read_at = p.seen_at
FROM (SELECT vendor, max(seen_at) AS seen_at FROM vendor_products GROUP BY vendor) p
WHERE p.vendor = v.vendor AND v.catalogue_read_at IS NULL;
-- Each by itself: live work holds one of these while it asks for another.
COMMIT; BEGIN; SET LOCAL lock_timeout = '5s';

-- As before, but that a route's own country goes before those of its product, here as where a
-- route is accepted.
CREATE OR REPLACE VIEW route_costs WITH (security_invoker = true) AS
  SELECT r.id AS route_id, r.brand_id, r.vendor, r.product,
    CASE WHEN r.cost_bp IS NOT NULL THEN r.cost_bp
         WHEN p.cost_currency = b.currency THEN p.cost_bp END AS cost_bp,
    CASE WHEN r.cost_bp IS NOT NULL THEN r.cost_flat_minor
         WHEN p.cost_currency = b.currency THEN p.cost_flat_minor END AS cost_flat_minor,
    (p.id IS NULL OR p.currency = b.currency)
      AND (b.country IS NULL OR coalesce(r.country = b.country,
        p.id IS NULL OR p.countries = '{}' OR b.country = ANY (p.countries))) AS fits
  FROM brand_routes r JOIN brands b ON b.id = r.brand_id
  LEFT JOIN vendor_products p ON p.vendor = r.vendor AND p.product = r.product;
COMMIT; BEGIN; SET LOCAL lock_timeout = '5s';

-- Its policies hold for the owner of the table too, as everywhere.
ALTER TABLE prices FORCE ROW LEVEL SECURITY;
