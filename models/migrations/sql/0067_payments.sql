-- Payments at Stripe, what is paid with them (purchases, top-ups), what is paid back or disputed, and
-- the events that tell of it.

-- One thing that can be paid once: written before Stripe hears of it, and after that only learned about.
-- What is known of it only grows, so that events may come twice and in any order (EC-008, EC-048).
CREATE TABLE payments (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    purpose TEXT NOT NULL,
    state TEXT DEFAULT 'open' NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    lines JSONB NOT NULL,
    -- What Stripe is told to call it: the reservation's id, or our own.
    reference UUID NOT NULL,
    success_url TEXT NOT NULL,
    cancel_url TEXT NOT NULL,
    -- Which of its keys its page is asked for with: an answer that Stripe keeps may be a failure.
    page_key INTEGER DEFAULT 1 NOT NULL,
    session_id TEXT,
    session_url TEXT,
    session_status TEXT DEFAULT 'none' NOT NULL,
    session_expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    payment_intent_id TEXT,
    payment TEXT DEFAULT 'unpaid' NOT NULL,
    paid_minor BIGINT,
    paid_currency TEXT,
    charge_refunded_minor BIGINT DEFAULT 0 NOT NULL,
    refunded_minor BIGINT DEFAULT 0 NOT NULL,
    -- A person has taken an amount that is not what we asked for (EC-049).
    is_accepted BOOLEAN DEFAULT false NOT NULL,
    is_disputed BOOLEAN DEFAULT false NOT NULL,
    last_failure_code TEXT,
    -- Why we end the session ourselves; written before Stripe is asked to.
    end_reason TEXT,
    end_asked_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    paid_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_payments PRIMARY KEY (id),
    CONSTRAINT ck_payments_purpose CHECK (purpose IN ('purchase', 'top_up')),
    CONSTRAINT ck_payments_state CHECK (state IN ('open', 'processing', 'succeeded', 'mismatched',
        'refunded', 'failed', 'expired')),
    CONSTRAINT ck_payments_session_status
        CHECK (session_status IN ('none', 'open', 'expired', 'complete')),
    CONSTRAINT ck_payments_payment
        CHECK (payment IN ('unpaid', 'processing', 'failed', 'paid', 'not_required')),
    CONSTRAINT ck_payments_amounts CHECK (amount_minor >= 0 AND paid_minor >= 0
        AND charge_refunded_minor >= 0 AND refunded_minor BETWEEN 0 AND coalesce(paid_minor, 0)),
    CONSTRAINT fk_payments_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_payments_tenant ON payments (id, agency_id, client_id);
CREATE UNIQUE INDEX uq_payments_agency ON payments (id, agency_id);
CREATE UNIQUE INDEX uq_payments_session_id ON payments (session_id);
CREATE INDEX ix_payments_payment_intent_id ON payments (payment_intent_id);
CREATE INDEX ix_payments_client_id_id ON payments (client_id, id);
CREATE INDEX ix_payments_agency_id_id ON payments (agency_id, id);

-- Asked for by us before Stripe is, or learned from Stripe.
CREATE TABLE refunds (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    payment_id UUID NOT NULL,
    -- Which of its keys it is sent with: an answer that Stripe keeps may be a failure.
    send_key INTEGER DEFAULT 1 NOT NULL,
    refund_id TEXT,
    state TEXT DEFAULT 'asked' NOT NULL,
    amount_minor BIGINT NOT NULL,
    reason TEXT NOT NULL,
    failure_code TEXT,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_refunds PRIMARY KEY (id),
    CONSTRAINT ck_refunds_state CHECK (state IN ('asked', 'pending', 'succeeded', 'failed')),
    CONSTRAINT ck_refunds_amount_minor CHECK (amount_minor > 0),
    CONSTRAINT fk_refunds_payment_id_agency_id_client_id_payments
        FOREIGN KEY (payment_id, agency_id, client_id) REFERENCES payments (id, agency_id, client_id),
    CONSTRAINT fk_refunds_payment_id_agency_id_payments
        FOREIGN KEY (payment_id, agency_id) REFERENCES payments (id, agency_id),
    CONSTRAINT fk_refunds_payment_id_payments FOREIGN KEY (payment_id) REFERENCES payments (id)
);
CREATE UNIQUE INDEX uq_refunds_refund_id ON refunds (refund_id);
CREATE INDEX ix_refunds_payment_id ON refunds (payment_id);

CREATE TABLE disputes (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    payment_id UUID NOT NULL,
    dispute_id TEXT NOT NULL,
    status TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    reason TEXT NOT NULL,
    -- When what is known of it was so, by Stripe's clock.
    as_of TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_disputes PRIMARY KEY (id),
    CONSTRAINT fk_disputes_payment_id_agency_id_client_id_payments
        FOREIGN KEY (payment_id, agency_id, client_id) REFERENCES payments (id, agency_id, client_id),
    CONSTRAINT fk_disputes_payment_id_agency_id_payments
        FOREIGN KEY (payment_id, agency_id) REFERENCES payments (id, agency_id),
    CONSTRAINT fk_disputes_payment_id_payments FOREIGN KEY (payment_id) REFERENCES payments (id)
);
CREATE UNIQUE INDEX uq_disputes_dispute_id ON disputes (dispute_id);
CREATE INDEX ix_disputes_payment_id ON disputes (payment_id);

CREATE UNIQUE INDEX uq_discount_usages_tenant ON discount_usages (id, agency_id, client_id);

-- What a shopper pays for; has the id of its payment.
CREATE TABLE purchases (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    usage_id UUID,
    cart_reference TEXT NOT NULL,
    cart_digest TEXT NOT NULL,
    quote JSONB NOT NULL,
    user_id UUID,
    customer_keys BYTEA[] NOT NULL,
    -- It can still be paid, or waits for a person.
    is_live BOOLEAN DEFAULT true NOT NULL,
    -- Its customer is counted as one who has bought.
    is_counted BOOLEAN DEFAULT false NOT NULL,
    -- Paid when its slot had been given back (EC-006).
    is_late BOOLEAN DEFAULT false NOT NULL,
    -- Why its money is not kept: it is paid back, and confirms nothing.
    refused TEXT,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_purchases PRIMARY KEY (id),
    CONSTRAINT fk_purchases_id_agency_id_client_id_payments
        FOREIGN KEY (id, agency_id, client_id) REFERENCES payments (id, agency_id, client_id),
    CONSTRAINT fk_purchases_usage_id_agency_id_client_id_discount_usages
        FOREIGN KEY (usage_id, agency_id, client_id)
        REFERENCES discount_usages (id, agency_id, client_id)
);
-- Nobody pays twice for one cart.
CREATE UNIQUE INDEX uq_purchases_cart ON purchases (client_id, cart_reference) WHERE is_live;
CREATE INDEX ix_purchases_usage_id ON purchases (usage_id);
CREATE INDEX ix_purchases_client_id_id ON purchases (client_id, id);
CREATE INDEX ix_purchases_agency_id_id ON purchases (agency_id, id);
CREATE INDEX ix_purchases_client_id_cart_reference ON purchases (client_id, cart_reference);

-- Credit that is paid for; has the id of its payment.
CREATE TABLE top_ups (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    account_id UUID NOT NULL,
    transfer_id UUID,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_top_ups PRIMARY KEY (id),
    CONSTRAINT fk_top_ups_id_payments FOREIGN KEY (id) REFERENCES payments (id),
    CONSTRAINT fk_top_ups_id_agency_id_client_id_payments
        FOREIGN KEY (id, agency_id, client_id) REFERENCES payments (id, agency_id, client_id),
    CONSTRAINT fk_top_ups_id_agency_id_payments
        FOREIGN KEY (id, agency_id) REFERENCES payments (id, agency_id),
    CONSTRAINT fk_top_ups_account_id_accounts FOREIGN KEY (account_id) REFERENCES accounts (id),
    CONSTRAINT fk_top_ups_transfer_id_transfers FOREIGN KEY (transfer_id) REFERENCES transfers (id),
    CONSTRAINT fk_top_ups_account_id_agency_id_client_id_accounts
        FOREIGN KEY (account_id, agency_id, client_id) REFERENCES accounts (id, agency_id, client_id),
    CONSTRAINT fk_top_ups_account_id_agency_id_accounts
        FOREIGN KEY (account_id, agency_id) REFERENCES accounts (id, agency_id)
);
CREATE INDEX ix_top_ups_transfer_id ON top_ups (transfer_id) WHERE transfer_id IS NOT NULL;
CREATE INDEX ix_top_ups_account_id_id ON top_ups (account_id, id);

-- Every event that Stripe told us of, once: what we act on of it, never the whole, which names people.
CREATE TABLE stripe_events (
    id TEXT NOT NULL,
    -- What its task names it by.
    own_id UUID NOT NULL,
    type TEXT NOT NULL,
    object_id TEXT,
    news JSONB NOT NULL,
    state TEXT DEFAULT 'received' NOT NULL,
    payment_id UUID,
    livemode BOOLEAN NOT NULL,
    account TEXT,
    happened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    was_pulled BOOLEAN DEFAULT false NOT NULL,
    -- Which of our secrets it was signed with: 0 is the newest.
    secret_place INTEGER,
    deliveries INTEGER DEFAULT 1 NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    handled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_stripe_events PRIMARY KEY (id),
    CONSTRAINT ck_stripe_events_state CHECK (state IN ('received', 'handled', 'stale', 'unhandled',
        'unmatched', 'mode_mismatch', 'needs_review'))
);
CREATE UNIQUE INDEX uq_stripe_events_own_id ON stripe_events (own_id);
CREATE INDEX ix_stripe_events_received_at_id ON stripe_events (received_at, id);
CREATE INDEX ix_stripe_events_state ON stripe_events (state, received_at, id)
  WHERE state NOT IN ('handled', 'stale', 'unhandled');
CREATE INDEX ix_stripe_events_payment_id ON stripe_events (payment_id);

-- How far events were pulled (EC-131).
CREATE TABLE stripe_pulls (
    name TEXT NOT NULL,
    pulled_to TIMESTAMP WITH TIME ZONE NOT NULL,
    ran_at TIMESTAMP WITH TIME ZONE NOT NULL,
    found INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_stripe_pulls PRIMARY KEY (name)
);

ALTER TABLE discount_codes
    -- What a full refund gives back: nothing, the slot, or also the customer's use (EC-050, EC-051).
    ADD COLUMN restore_on_refund TEXT DEFAULT 'nothing' NOT NULL,
    -- What becomes of a payment that comes after the slot was given back (EC-006).
    ADD COLUMN on_late TEXT DEFAULT 'confirm' NOT NULL,
    ADD CONSTRAINT ck_discount_codes_restore_on_refund
        CHECK (restore_on_refund IN ('nothing', 'slot', 'customer')),
    ADD CONSTRAINT ck_discount_codes_on_late CHECK (on_late IN ('confirm', 'refund'));
ALTER TABLE discount_usages
    -- Its purchase while it can be paid, and the one that paid it; that names the usage as its own.
    ADD COLUMN purchase_id UUID,
    ADD COLUMN restored TEXT,
    ADD CONSTRAINT ck_discount_usages_restored
        CHECK (restored IS NULL OR (restored IN ('slot', 'customer') AND state = 'refunded'));
CREATE INDEX ix_discount_usages_purchase_id ON discount_usages (purchase_id)
  WHERE purchase_id IS NOT NULL;

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['payments', 'refunds', 'disputes', 'purchases', 'top_ups'] LOOP
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
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO largesse_platform, largesse_agency,
      largesse_client, largesse_system', t);
    EXECUTE format('GRANT SELECT ON %I TO largesse_readonly', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON stripe_events TO largesse_system;
GRANT SELECT, INSERT, UPDATE ON stripe_pulls TO largesse_system;
GRANT SELECT ON stripe_events, stripe_pulls TO largesse_readonly;

-- A refund that failed gives back what it had taken (docs/states.md).
DROP TRIGGER usage_moves ON discount_usages;
CREATE TRIGGER usage_moves BEFORE UPDATE OF state ON discount_usages FOR EACH ROW
  WHEN (OLD.state <> NEW.state AND NOT CASE OLD.state
    WHEN 'reserved' THEN NEW.state IN ('confirmed', 'released')
    WHEN 'released' THEN NEW.state = 'confirmed'
    WHEN 'confirmed' THEN NEW.state = 'refunded'
    WHEN 'refunded' THEN NEW.state = 'confirmed'
    ELSE false END)
  EXECUTE FUNCTION refuse_usage_move();
