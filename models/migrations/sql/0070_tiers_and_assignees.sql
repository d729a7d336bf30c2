-- Discounts that grow with what is spent, and codes for one customer alone (S2-127, EC-017).

ALTER TABLE discount_rules
    -- `{from_minor, percent_bp | amount_minor}`; that they ascend is for whoever writes them.
    ADD COLUMN tiers JSONB,
    ADD CONSTRAINT ck_discount_rules_tiers CHECK (
        CASE WHEN tiers IS NULL THEN true
             WHEN jsonb_typeof(tiers) <> 'array' THEN false
             ELSE jsonb_array_length(tiers) BETWEEN 1 AND 10 AND currency IS NOT NULL
                AND jsonb_array_length(tiers) = jsonb_array_length(CASE kind
                    WHEN 'percent' THEN jsonb_path_query_array(tiers, 'strict $[*] ?
                        (@.from_minor >= 1 && @.percent_bp >= 1 && @.percent_bp <= 10000)')
                    ELSE jsonb_path_query_array(tiers, 'strict $[*] ?
                        (@.from_minor >= 1 && @.amount_minor >= 1)') END)
        END);

ALTER TABLE discount_codes
    -- Whom alone it is for, by the indexes that customers are counted by; NULL: whoever knows it.
    ADD COLUMN assignee_keys BYTEA[],
    ADD COLUMN assigned_user_id UUID,
    ADD CONSTRAINT ck_discount_codes_assignee CHECK (cardinality(assignee_keys) > 0
        AND (assigned_user_id IS NULL OR assignee_keys IS NOT NULL));

-- Somebody who tried a code that is another's: one row for each of them, and digests alone.
CREATE TABLE code_tries (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    code_id UUID NOT NULL,
    customer_keys BYTEA[] NOT NULL,
    tries INTEGER NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_code_tries PRIMARY KEY (id),
    CONSTRAINT ck_code_tries_tries CHECK (tries > 0 AND last_at >= first_at),
    CONSTRAINT fk_code_tries_code_id_agency_id_client_id_discount_codes
        FOREIGN KEY (code_id, agency_id, client_id)
        REFERENCES discount_codes (id, agency_id, client_id)
);
CREATE INDEX ix_code_tries_code_id_last_at ON code_tries (code_id, last_at);

-- Decision 0019: the planner keeps no statistics of whose rows are whose.
ALTER TABLE code_tries ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE code_tries ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE code_tries ENABLE ROW LEVEL SECURITY;
ALTER TABLE code_tries FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON code_tries TO largesse_platform USING (true);
CREATE POLICY system ON code_tries TO largesse_system USING (true);
CREATE POLICY readonly ON code_tries FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON code_tries TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON code_tries TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON code_tries
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT ON code_tries TO largesse_readonly;
