-- Customers bring friends by codes of their own, and are rewarded for purchases that were kept (S2-128).

CREATE TABLE referral_programs (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    name TEXT NOT NULL,
    state TEXT DEFAULT 'active' NOT NULL,
    -- Rules of codes to be made; what they do is checked where codes have them.
    friend JSONB NOT NULL,
    reward JSONB NOT NULL,
    prefix TEXT NOT NULL,
    random_length INTEGER NOT NULL,
    max_uses_per_code INTEGER,
    max_rewards_per_referrer INTEGER,
    hold_days INTEGER DEFAULT 14 NOT NULL,
    reward_valid_days INTEGER NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_referral_programs PRIMARY KEY (id),
    CONSTRAINT ck_referral_programs_state CHECK (state IN ('active', 'paused', 'archived')),
    CONSTRAINT ck_referral_programs_random_length CHECK (random_length BETWEEN 8 AND 24),
    CONSTRAINT ck_referral_programs_hold_days CHECK (hold_days BETWEEN 0 AND 90),
    CONSTRAINT ck_referral_programs_reward_valid_days CHECK (reward_valid_days BETWEEN 1 AND 3650),
    CONSTRAINT ck_referral_programs_max_uses_per_code CHECK (max_uses_per_code > 0),
    CONSTRAINT ck_referral_programs_max_rewards_per_referrer CHECK (max_rewards_per_referrer > 0),
    CONSTRAINT fk_referral_programs_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_referral_programs_tenant ON referral_programs (id, agency_id, client_id);
CREATE INDEX ix_referral_programs_client_id_id ON referral_programs (client_id, id);
CREATE INDEX ix_referral_programs_agency_id_id ON referral_programs (agency_id, id);

-- What makes a discount code that of one referrer. The keys are those of customers of discount codes:
-- nobody reads them back, and the erasure of a person leaves them.
CREATE TABLE referral_codes (
    code_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    program_id UUID NOT NULL,
    referrer_keys BYTEA[] NOT NULL,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_referral_codes PRIMARY KEY (code_id),
    CONSTRAINT ck_referral_codes_referrer_keys CHECK (cardinality(referrer_keys) > 0),
    CONSTRAINT fk_referral_codes_code_id_agency_id_client_id_discount_codes
        FOREIGN KEY (code_id, agency_id, client_id)
        REFERENCES discount_codes (id, agency_id, client_id),
    CONSTRAINT fk_referral_codes_program_id_agency_id_client_id_referr_2a4a
        FOREIGN KEY (program_id, agency_id, client_id)
        REFERENCES referral_programs (id, agency_id, client_id)
);
CREATE INDEX ix_referral_codes_program_id_code_id ON referral_codes (program_id, code_id);
CREATE INDEX ix_referral_codes_referrer_keys ON referral_codes USING gin (referrer_keys);

-- One for each purchase of a friend, by its id; what was promised when it was paid stands here.
CREATE TABLE referral_rewards (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    program_id UUID NOT NULL,
    code_id UUID NOT NULL,
    state TEXT DEFAULT 'pending' NOT NULL,
    reward JSONB NOT NULL,
    valid_days INTEGER NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    reward_code_id UUID,
    ended_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_referral_rewards PRIMARY KEY (id),
    CONSTRAINT ck_referral_rewards_state
        CHECK (state IN ('pending', 'issued', 'void', 'over_limit')),
    CONSTRAINT ck_referral_rewards_issued CHECK ((state = 'issued') = (reward_code_id IS NOT NULL)),
    CONSTRAINT ck_referral_rewards_ended CHECK ((state = 'pending') = (ended_at IS NULL)),
    CONSTRAINT fk_referral_rewards_id_agency_id_client_id_payments
        FOREIGN KEY (id, agency_id, client_id) REFERENCES payments (id, agency_id, client_id),
    CONSTRAINT fk_referral_rewards_program_id_agency_id_client_id_refe_437c
        FOREIGN KEY (program_id, agency_id, client_id)
        REFERENCES referral_programs (id, agency_id, client_id),
    CONSTRAINT fk_referral_rewards_code_id_agency_id_client_id_discount_codes
        FOREIGN KEY (code_id, agency_id, client_id)
        REFERENCES discount_codes (id, agency_id, client_id),
    CONSTRAINT fk_referral_rewards_reward_code_id_agency_id_client_id__8624
        FOREIGN KEY (reward_code_id, agency_id, client_id)
        REFERENCES discount_codes (id, agency_id, client_id)
);
-- A code is the reward of one purchase.
CREATE UNIQUE INDEX uq_referral_rewards_reward_code_id ON referral_rewards (reward_code_id);
CREATE INDEX ix_referral_rewards_program_id_id ON referral_rewards (program_id, id);
CREATE INDEX ix_referral_rewards_code_id_id ON referral_rewards (code_id, id);
CREATE INDEX ix_referral_rewards_due ON referral_rewards (due_at, id) WHERE state = 'pending';
-- Who paid with a card before is looked for when it pays for a friend.
CREATE INDEX ix_payments_client_id_card ON payments (client_id, card) WHERE card IS NOT NULL;

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['referral_programs', 'referral_codes', 'referral_rewards'] LOOP
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

-- A reward that was given stays given, whatever writes; one that was taken away comes back only as
-- pending.
CREATE FUNCTION refuse_reward_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a referral reward that is % does not become %', OLD.state, NEW.state
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_referral_rewards_moves';
END $$;
CREATE TRIGGER reward_moves BEFORE UPDATE OF state ON referral_rewards FOR EACH ROW
  WHEN (OLD.state <> NEW.state AND NOT CASE OLD.state
    WHEN 'pending' THEN true
    WHEN 'void' THEN NEW.state = 'pending'
    ELSE false END)
  EXECUTE FUNCTION refuse_reward_move();
