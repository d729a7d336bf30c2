-- What vendors sell, as their catalogues said when they were last read.
CREATE TABLE vendor_products (
    id UUID NOT NULL,
    vendor TEXT NOT NULL,
    product TEXT NOT NULL,
    name TEXT NOT NULL,
    currency TEXT NOT NULL,
    countries TEXT[] NOT NULL,
    least_minor BIGINT,
    most_minor BIGINT,
    fixed_minor BIGINT[] NOT NULL,
    cost_bp INTEGER,
    cost_flat_minor BIGINT,
    cost_currency TEXT,
    was_cost_bp INTEGER,
    was_cost_flat_minor BIGINT,
    cost_changed_at TIMESTAMP WITH TIME ZONE,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    vanished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_vendor_products PRIMARY KEY (id),
    CONSTRAINT uq_vendor_products_vendor_product UNIQUE (vendor, product),
    CONSTRAINT fk_vendor_products_vendor_vendor_accounts FOREIGN KEY (vendor)
        REFERENCES vendor_accounts (vendor)
);
GRANT SELECT ON vendor_products
  TO largesse_platform, largesse_agency, largesse_client, largesse_readonly;
GRANT SELECT, INSERT, UPDATE ON vendor_products TO largesse_system;

-- What a card costs by a route: what a person said of it, else what the catalogue says in the
-- brand's currency. A route `fits` unless the catalogue says that its cards are other ones.
CREATE VIEW route_costs WITH (security_invoker = true) AS
  SELECT r.id AS route_id, r.brand_id, r.vendor, r.product,
    CASE WHEN r.cost_bp IS NOT NULL THEN r.cost_bp
         WHEN p.cost_currency = b.currency THEN p.cost_bp END AS cost_bp,
    CASE WHEN r.cost_bp IS NOT NULL THEN r.cost_flat_minor
         WHEN p.cost_currency = b.currency THEN p.cost_flat_minor END AS cost_flat_minor,
    p.id IS NULL OR (p.currency = b.currency AND (b.country IS NULL OR p.countries = '{}'
        OR b.country = ANY (p.countries))) AS fits
  FROM brand_routes r JOIN brands b ON b.id = r.brand_id
  LEFT JOIN vendor_products p ON p.vendor = r.vendor AND p.product = r.product;
GRANT SELECT ON route_costs TO largesse_platform, largesse_agency, largesse_client,
  largesse_system, largesse_readonly;
