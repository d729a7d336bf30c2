-- Discount codes: one text of a client with rules in versions, who used it, and slots that are reserved
-- while somebody pays.

CREATE TABLE discount_codes (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    code TEXT NOT NULL,
    state TEXT DEFAULT 'active' NOT NULL,
    rules_version INTEGER DEFAULT 1 NOT NULL,
    max_uses INTEGER,
    max_uses_per_customer INTEGER,
    used INTEGER DEFAULT 0 NOT NULL,
    overflow_uses INTEGER DEFAULT 0 NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_discount_codes PRIMARY KEY (id),
    CONSTRAINT ck_discount_codes_state CHECK (state IN ('active', 'paused', 'archived')),
    CONSTRAINT ck_discount_codes_max_uses CHECK (max_uses > 0),
    CONSTRAINT ck_discount_codes_max_uses_per_customer CHECK (max_uses_per_customer > 0),
    CONSTRAINT ck_discount_codes_used CHECK (used >= 0 AND used <= coalesce(max_uses, used)),
    CONSTRAINT ck_discount_codes_overflow_uses CHECK (overflow_uses >= 0),
    CONSTRAINT fk_discount_codes_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_discount_codes_tenant ON discount_codes (id, agency_id, client_id);
-- Put away, a code keeps its text: what was paid with it names it (EC-023, EC-027).
CREATE UNIQUE INDEX uq_discount_codes_code ON discount_codes (client_id, code);
CREATE INDEX ix_discount_codes_client_id_id ON discount_codes (client_id, id);
CREATE INDEX ix_discount_codes_agency_id_id ON discount_codes (agency_id, id);

-- What a code does; a change is another version, and a reservation keeps the one it was priced by (EC-025).
CREATE TABLE discount_rules (
    code_id UUID NOT NULL,
    version INTEGER NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    kind TEXT NOT NULL,
    percent_bp INTEGER,
    amount_minor BIGINT,
    currency TEXT,
    max_discount_minor BIGINT,
    min_subtotal_minor BIGINT,
    products TEXT[],
    first_order_only BOOLEAN DEFAULT false NOT NULL,
    starts_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_discount_rules PRIMARY KEY (code_id, version),
    CONSTRAINT ck_discount_rules_kind CHECK (CASE kind
        WHEN 'percent' THEN coalesce(percent_bp BETWEEN 1 AND 10000, false) AND amount_minor IS NULL
        WHEN 'fixed' THEN coalesce(amount_minor > 0, false) AND percent_bp IS NULL
          AND max_discount_minor IS NULL
        ELSE false END),
    CONSTRAINT ck_discount_rules_currency CHECK (currency IS NOT NULL OR (amount_minor IS NULL
        AND max_discount_minor IS NULL AND min_subtotal_minor IS NULL)),
    CONSTRAINT ck_discount_rules_max_discount_minor CHECK (max_discount_minor > 0),
    CONSTRAINT ck_discount_rules_min_subtotal_minor CHECK (min_subtotal_minor > 0),
    CONSTRAINT ck_discount_rules_products CHECK (cardinality(products) > 0),
    CONSTRAINT ck_discount_rules_window CHECK (expires_at > starts_at),
    CONSTRAINT fk_discount_rules_code_id_agency_id_client_id_discount_codes
        FOREIGN KEY (code_id, agency_id, client_id)
        REFERENCES discount_codes (id, agency_id, client_id)
);
CREATE UNIQUE INDEX uq_discount_rules_tenant
  ON discount_rules (code_id, version, agency_id, client_id);
CREATE TRIGGER discount_rules_immutable BEFORE UPDATE OR DELETE ON discount_rules
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- A slot of a code, kept for one cart: reserved, then confirmed or released, then perhaps refunded.
CREATE TABLE discount_usages (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    code_id UUID NOT NULL,
    rules_version INTEGER NOT NULL,
    state TEXT DEFAULT 'reserved' NOT NULL,
    cart_reference TEXT NOT NULL,
    cart_digest TEXT NOT NULL,
    quote_version INTEGER DEFAULT 1 NOT NULL,
    quote JSONB NOT NULL,
    currency TEXT NOT NULL,
    subtotal_minor BIGINT NOT NULL,
    discount_minor BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    user_id UUID,
    customer_keys BYTEA[] NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    release_reason TEXT,
    ended_at TIMESTAMP WITH TIME ZONE,
    is_overflow BOOLEAN DEFAULT false NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_discount_usages PRIMARY KEY (id),
    CONSTRAINT ck_discount_usages_state
        CHECK (state IN ('reserved', 'confirmed', 'released', 'refunded')),
    CONSTRAINT ck_discount_usages_amounts
        CHECK (discount_minor BETWEEN 0 AND subtotal_minor AND total_minor >= 0),
    CONSTRAINT ck_discount_usages_released CHECK ((state = 'released') = (release_reason IS NOT NULL)),
    CONSTRAINT ck_discount_usages_ended CHECK ((state = 'reserved') = (ended_at IS NULL)),
    CONSTRAINT fk_discount_usages_code_id_rules_version_discount_rules
        FOREIGN KEY (code_id, rules_version, agency_id, client_id)
        REFERENCES discount_rules (code_id, version, agency_id, client_id)
);
-- One discount for a cart (EC-018), and one reservation for a double click (EC-002).
CREATE UNIQUE INDEX uq_discount_usages_cart ON discount_usages (client_id, cart_reference)
  WHERE state = 'reserved';
CREATE INDEX ix_discount_usages_code_id_id ON discount_usages (code_id, id);
CREATE INDEX ix_discount_usages_client_id_id ON discount_usages (client_id, id);
CREATE INDEX ix_discount_usages_live ON discount_usages (code_id, expires_at)
  WHERE state = 'reserved';
CREATE INDEX ix_discount_usages_customer_keys ON discount_usages USING gin (customer_keys);
CREATE INDEX ix_discount_usages_expires_at ON discount_usages (expires_at) WHERE state = 'reserved';

-- Customers by an index of what they are known by, which no one reads back: how many slots one has set
-- aside, and whether they have bought with a code before. An erased person keeps it (EC-052).
CREATE TABLE discount_customers (
    client_id UUID NOT NULL,
    customer_key BYTEA NOT NULL,
    agency_id UUID NOT NULL,
    live INTEGER DEFAULT 0 NOT NULL,
    purchases INTEGER DEFAULT 0 NOT NULL,
    timeouts INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_discount_customers PRIMARY KEY (client_id, customer_key),
    CONSTRAINT ck_discount_customers_counted CHECK (live >= 0 AND purchases >= 0 AND timeouts >= 0),
    CONSTRAINT fk_discount_customers_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
-- How often one of them has used a code, or is about to.
CREATE TABLE discount_customer_uses (
    code_id UUID NOT NULL,
    customer_key BYTEA NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    uses INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_discount_customer_uses PRIMARY KEY (code_id, customer_key),
    CONSTRAINT ck_discount_customer_uses_uses CHECK (uses >= 0),
    CONSTRAINT fk_discount_customer_uses_code_id_discount_codes
        FOREIGN KEY (code_id, agency_id, client_id)
        REFERENCES discount_codes (id, agency_id, client_id)
);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['discount_codes', 'discount_rules', 'discount_usages',
      'discount_customers', 'discount_customer_uses'] LOOP
    -- Decision 0019: the planner keeps no statistics of whose rows are whose.
    EXECUTE format('ALTER TABLE %I ALTER COLUMN agency_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ALTER COLUMN client_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY platform ON %I TO largesse_platform USING (true)', t);
    EXECUTE format('CREATE POLICY system ON %I TO largesse_system USING (true)', t);
    EXECUTE format('CREATE POLICY readonly ON %I FOR SELECT TO largesse_readonly USING (true)', t);
    EXECUTE format($p$CREATE POLICY agency ON %I TO largesse_agency
      USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid)$p$, t);
    EXECUTE format($p$CREATE POLICY client ON %I TO largesse_client
      USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid)$p$, t);
    EXECUTE format('GRANT SELECT, INSERT ON %I TO largesse_platform, largesse_agency,
      largesse_client, largesse_system', t);
    EXECUTE format('GRANT SELECT ON %I TO largesse_readonly', t);
  END LOOP;
END $$;
GRANT UPDATE ON discount_codes, discount_usages, discount_customers, discount_customer_uses
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;

-- A usage goes one way, whatever writes (docs/states.md): what was confirmed is never released. A late
-- payment confirms what was released (EC-006).
CREATE FUNCTION refuse_usage_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a discount usage that is % does not become %', OLD.state, NEW.state
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_discount_usages_moves';
END $$;
CREATE TRIGGER usage_moves BEFORE UPDATE OF state ON discount_usages FOR EACH ROW
  WHEN (OLD.state <> NEW.state AND NOT CASE OLD.state
    WHEN 'reserved' THEN NEW.state IN ('confirmed', 'released')
    WHEN 'released' THEN NEW.state = 'confirmed'
    WHEN 'confirmed' THEN NEW.state = 'refunded'
    ELSE false END)
  EXECUTE FUNCTION refuse_usage_move();
