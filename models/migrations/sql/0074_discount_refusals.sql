-- Why codes were refused at the checkout, counted by quarters of an hour (S2-062, S2-064).

-- Fronts add what they counted since their last beat; without a code it is what no code has.
CREATE TABLE discount_refusals (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    code_id UUID,
    -- The code of a refusal, as answers say it.
    reason TEXT NOT NULL,
    -- When the quarter of an hour began: days of every time zone begin with one.
    slot TIMESTAMP WITH TIME ZONE NOT NULL,
    applied INTEGER NOT NULL,
    validated INTEGER NOT NULL,
    CONSTRAINT pk_discount_refusals PRIMARY KEY (id),
    CONSTRAINT ck_discount_refusals_counts
        CHECK (applied >= 0 AND validated >= 0 AND applied + validated > 0),
    CONSTRAINT fk_discount_refusals_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id),
    CONSTRAINT fk_discount_refusals_code_id_agency_id_client_id_discount_codes
        FOREIGN KEY (code_id, agency_id, client_id)
        REFERENCES discount_codes (id, agency_id, client_id)
);
CREATE UNIQUE INDEX uq_discount_refusals_slot
    ON discount_refusals (client_id, slot, code_id, reason) NULLS NOT DISTINCT;
CREATE INDEX ix_discount_refusals_code_id_slot ON discount_refusals (code_id, slot);
CREATE INDEX ix_discount_refusals_agency_id_slot ON discount_refusals (agency_id, slot);
CREATE INDEX ix_discount_refusals_slot ON discount_refusals (slot);

-- Decision 0019: the planner keeps no statistics of whose rows are whose.
ALTER TABLE discount_refusals ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE discount_refusals ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE discount_refusals ENABLE ROW LEVEL SECURITY;
ALTER TABLE discount_refusals FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON discount_refusals TO largesse_platform USING (true);
CREATE POLICY system ON discount_refusals TO largesse_system USING (true);
CREATE POLICY readonly ON discount_refusals FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON discount_refusals TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON discount_refusals TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT ON discount_refusals TO largesse_platform, largesse_agency, largesse_client;
GRANT SELECT, INSERT, UPDATE, DELETE ON discount_refusals TO largesse_system;
GRANT SELECT ON discount_refusals TO largesse_readonly;
