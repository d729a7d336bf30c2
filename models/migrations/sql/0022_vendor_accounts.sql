-- Vendor accounts get a name for alerts and tasks, a bound of calls in flight, and may be put out
-- of use. The table has a row per vendor, so that rewriting it is nothing.
ALTER TABLE vendor_accounts ADD COLUMN id UUID DEFAULT gen_random_uuid() NOT NULL;
ALTER TABLE vendor_accounts ADD CONSTRAINT uq_vendor_accounts_id UNIQUE (id);
ALTER TABLE vendor_accounts ADD COLUMN concurrency INTEGER DEFAULT 32 NOT NULL;
ALTER TABLE vendor_accounts ADD CONSTRAINT ck_vendor_accounts_concurrency CHECK (concurrency > 0);
ALTER TABLE vendor_accounts ADD COLUMN disabled_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE vendor_accounts ADD COLUMN answered_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE vendor_accounts ADD COLUMN breaker_refuses_keys BOOLEAN DEFAULT false NOT NULL;
ALTER TABLE vendor_accounts ADD COLUMN breaker_since TIMESTAMP WITH TIME ZONE;

CREATE TABLE vendor_calls (
    id UUID NOT NULL,
    vendor TEXT NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_vendor_calls PRIMARY KEY (id),
    CONSTRAINT fk_vendor_calls_vendor_vendor_accounts FOREIGN KEY (vendor)
        REFERENCES vendor_accounts (vendor)
);
CREATE INDEX ix_vendor_calls_vendor ON vendor_calls (vendor);

CREATE TABLE vendor_call_counts (
    vendor TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    answered INTEGER DEFAULT 0 NOT NULL,
    failed INTEGER DEFAULT 0 NOT NULL,
    unknown INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_vendor_call_counts PRIMARY KEY (vendor, since),
    CONSTRAINT fk_vendor_call_counts_vendor_vendor_accounts FOREIGN KEY (vendor)
        REFERENCES vendor_accounts (vendor)
);

CREATE TABLE vendor_balances (
    vendor TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    balance_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    CONSTRAINT pk_vendor_balances PRIMARY KEY (vendor, at),
    CONSTRAINT fk_vendor_balances_vendor_vendor_accounts FOREIGN KEY (vendor)
        REFERENCES vendor_accounts (vendor)
);

-- Orders are settled in their client's scope, and with them the account's guard.
GRANT SELECT, INSERT, UPDATE, DELETE ON vendor_calls
  TO largesse_platform, largesse_client, largesse_system;
GRANT SELECT, INSERT, UPDATE ON vendor_call_counts TO largesse_platform, largesse_client;
GRANT SELECT, INSERT, UPDATE, DELETE ON vendor_call_counts TO largesse_system;
GRANT SELECT ON vendor_balances TO largesse_platform;
GRANT SELECT, INSERT, DELETE ON vendor_balances TO largesse_system;
GRANT SELECT ON vendor_calls, vendor_call_counts, vendor_balances TO largesse_readonly;
