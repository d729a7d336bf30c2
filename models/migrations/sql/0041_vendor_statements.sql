-- What vendors say that they sold us, a day at a time, to be compared with our orders.
CREATE TABLE vendor_statements (
    vendor TEXT NOT NULL,
    day DATE NOT NULL,
    rows INTEGER NOT NULL,
    findings INTEGER DEFAULT 0 NOT NULL,
    taken_by UUID NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_vendor_statements PRIMARY KEY (vendor, day),
    CONSTRAINT fk_vendor_statements_vendor_vendor_accounts FOREIGN KEY (vendor)
        REFERENCES vendor_accounts (vendor)
);
CREATE TABLE vendor_statement_rows (
    vendor TEXT NOT NULL,
    day DATE NOT NULL,
    row INTEGER NOT NULL,
    order_id UUID,
    vendor_order_id TEXT,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    CONSTRAINT pk_vendor_statement_rows PRIMARY KEY (vendor, day, row),
    CONSTRAINT fk_vendor_statement_rows_vendor_day_vendor_statements FOREIGN KEY (vendor, day)
        REFERENCES vendor_statements (vendor, day)
);
CREATE INDEX ix_vendor_statement_rows_vendor_order_id
    ON vendor_statement_rows (vendor, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX ix_vendor_statement_rows_vendor_vendor_order_id
    ON vendor_statement_rows (vendor, vendor_order_id) WHERE vendor_order_id IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON vendor_statements TO largesse_platform;
GRANT SELECT, INSERT, DELETE ON vendor_statement_rows TO largesse_platform;
GRANT SELECT ON vendor_statements, vendor_statement_rows TO largesse_system, largesse_readonly;
