-- A bulk job in the making: seen by its tenant only, deleted by the system's purge only.
CREATE TABLE upload_drafts (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    user_id UUID NOT NULL,
    options JSONB NOT NULL,
    file_name TEXT,
    content BYTEA,
    job_id UUID,
    submitted_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_upload_drafts PRIMARY KEY (id),
    CONSTRAINT fk_upload_drafts_agency_id_client_id_clients
        FOREIGN KEY(agency_id, client_id) REFERENCES clients (agency_id, id),
    CONSTRAINT fk_upload_drafts_user_id_users FOREIGN KEY(user_id) REFERENCES users (id),
    CONSTRAINT ck_upload_drafts_content CHECK (octet_length(content) <= 16777216)
);
CREATE INDEX ix_upload_drafts_agency_id ON upload_drafts (agency_id);
CREATE INDEX ix_upload_drafts_client_id ON upload_drafts (client_id);
CREATE INDEX ix_upload_drafts_created_at ON upload_drafts (created_at);

ALTER TABLE upload_drafts ENABLE ROW LEVEL SECURITY;
ALTER TABLE upload_drafts FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON upload_drafts TO largesse_platform USING (true);
CREATE POLICY system ON upload_drafts TO largesse_system USING (true);
CREATE POLICY readonly ON upload_drafts FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON upload_drafts TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON upload_drafts TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON upload_drafts
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT DELETE ON upload_drafts TO largesse_system;
GRANT SELECT ON upload_drafts TO largesse_readonly;
