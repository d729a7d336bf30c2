-- What the use of a code was judged by, who decided on it, and codes that were paused because they
-- spread (S2-105..S2-109, EC-014, EC-017).

-- One row for each reservation that was made since. Networks, devices and mailboxes are digests of one
-- client's own, and a network's is of one day: nobody reads them back.
CREATE TABLE usage_risks (
    usage_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    code_id UUID NOT NULL,
    score INTEGER NOT NULL,
    -- Our own words for what was noticed, with points and counts.
    reasons JSONB NOT NULL,
    network_key BYTEA,
    device_key BYTEA,
    mailbox_key BYTEA,
    -- The card that paid for it.
    card_key BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    flagged_at TIMESTAMP WITH TIME ZONE,
    decision TEXT,
    decided_by UUID,
    decided_at TIMESTAMP WITH TIME ZONE,
    decision_reason TEXT,
    CONSTRAINT pk_usage_risks PRIMARY KEY (usage_id),
    CONSTRAINT ck_usage_risks_score CHECK (score BETWEEN 0 AND 100),
    CONSTRAINT ck_usage_risks_decision CHECK (decision IN ('approved', 'rejected')),
    CONSTRAINT ck_usage_risks_decided CHECK (num_nulls(decision, decided_by, decided_at,
        decision_reason) IN (0, 4) AND (decision IS NULL OR flagged_at IS NOT NULL)),
    CONSTRAINT fk_usage_risks_usage_id_agency_id_client_id_discount_usages
        FOREIGN KEY (usage_id, agency_id, client_id)
        REFERENCES discount_usages (id, agency_id, client_id)
);
CREATE INDEX ix_usage_risks_network_key_created_at ON usage_risks (network_key, created_at)
  WHERE network_key IS NOT NULL;
CREATE INDEX ix_usage_risks_device_key_created_at ON usage_risks (device_key, created_at)
  WHERE device_key IS NOT NULL;
CREATE INDEX ix_usage_risks_code_id_mailbox_key ON usage_risks (code_id, mailbox_key)
  WHERE mailbox_key IS NOT NULL;
-- What waits for a person is little beside the rest.
CREATE INDEX ix_usage_risks_waits ON usage_risks (client_id, usage_id)
  WHERE flagged_at IS NOT NULL AND decision IS NULL;
CREATE INDEX ix_usage_risks_flagged ON usage_risks (client_id, usage_id)
  WHERE flagged_at IS NOT NULL;

ALTER TABLE discount_codes
    ADD COLUMN watch_leaks BOOLEAN DEFAULT true NOT NULL,
    -- Why nobody reserves it, where no person paused it.
    ADD COLUMN pause_reason TEXT,
    ADD COLUMN resumed_at TIMESTAMP WITH TIME ZONE,
    ADD CONSTRAINT ck_discount_codes_pause_reason
        CHECK (pause_reason IS NULL OR (pause_reason = 'leak_suspected' AND state = 'paused'));
-- How fast a code is reserved is looked at with each reservation.
CREATE INDEX ix_discount_usages_code_id_created_at ON discount_usages (code_id, created_at);
ALTER TABLE purchases
    -- Why what was paid waits for a person; nothing is confirmed by it meanwhile.
    ADD COLUMN review TEXT,
    ADD CONSTRAINT ck_purchases_review CHECK (review = 'risk_high');
ALTER TABLE payments
    -- Cards are told apart by it, and nothing else is known of them.
    ADD COLUMN card TEXT;

-- Decision 0019: the planner keeps no statistics of whose rows are whose.
ALTER TABLE usage_risks ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE usage_risks ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE usage_risks ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_risks FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON usage_risks TO largesse_platform USING (true);
CREATE POLICY system ON usage_risks TO largesse_system USING (true);
CREATE POLICY readonly ON usage_risks FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON usage_risks TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON usage_risks TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON usage_risks
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT ON usage_risks TO largesse_readonly;
