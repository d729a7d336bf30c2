CREATE TABLE loaded_codes (
    campaign_id UUID NOT NULL,
    blind_index BYTEA NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    brand_id UUID NOT NULL,
    denomination_minor BIGINT NOT NULL,
    loaded_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_loaded_codes PRIMARY KEY (campaign_id, blind_index),
    CONSTRAINT ck_loaded_codes_denomination CHECK (denomination_minor > 0),
    CONSTRAINT fk_loaded_codes_brand_id_brands FOREIGN KEY (brand_id) REFERENCES brands (id),
    CONSTRAINT fk_loaded_codes_agency_id_client_id_campaign_id_campaigns
        FOREIGN KEY (agency_id, client_id, campaign_id)
        REFERENCES campaigns (agency_id, client_id, id)
);
-- Decision 0019: the planner keeps no statistics of whose rows are whose.
ALTER TABLE loaded_codes ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE loaded_codes ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE loaded_codes ALTER COLUMN campaign_id SET STATISTICS 0;

ALTER TABLE loaded_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE loaded_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON loaded_codes TO largesse_platform USING (true);
CREATE POLICY system ON loaded_codes TO largesse_system USING (true);
CREATE POLICY readonly ON loaded_codes FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON loaded_codes TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON loaded_codes TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT ON loaded_codes TO largesse_platform, largesse_agency, largesse_client;
GRANT SELECT ON loaded_codes TO largesse_system, largesse_readonly;
