-- Acts that wait for a second person; who looks through whose eyes.
CREATE TABLE approvals (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    kind TEXT NOT NULL,
    detail JSONB NOT NULL,
    state TEXT DEFAULT 'pending' NOT NULL,
    requested_by UUID NOT NULL,
    decided_by UUID,
    decided_at TIMESTAMP WITH TIME ZONE,
    reason TEXT,
    result_id UUID,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_approvals PRIMARY KEY (id),
    CONSTRAINT ck_approvals_state CHECK (state IN ('pending', 'approved', 'rejected')),
    -- Nobody approves what they asked for, whatever the code says.
    CONSTRAINT ck_approvals_second_person CHECK (decided_by <> requested_by)
);
CREATE INDEX ix_approvals_agency_id_id ON approvals (agency_id, id);
CREATE INDEX ix_approvals_client_id_id ON approvals (client_id, id);
ALTER TABLE approvals ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE approvals ALTER COLUMN client_id SET STATISTICS 0;

ALTER TABLE approvals ENABLE ROW LEVEL SECURITY;
ALTER TABLE approvals FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON approvals TO largesse_platform USING (true);
CREATE POLICY system ON approvals TO largesse_system USING (true);
CREATE POLICY readonly ON approvals FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON approvals TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON approvals TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON approvals
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT ON approvals TO largesse_readonly;

ALTER TABLE sign_ins ADD COLUMN impersonator_id UUID
    CONSTRAINT fk_sign_ins_impersonator_id_users REFERENCES users (id);
CREATE INDEX ix_sign_ins_impersonator_id ON sign_ins (impersonator_id)
    WHERE impersonator_id IS NOT NULL;
GRANT SELECT (impersonator_id) ON sign_ins TO largesse_readonly;
