-- A mail is written with its cause and sent by a task; what it holds is sealed, and erased at its end.
CREATE TABLE outgoing_mails (
    id UUID NOT NULL,
    template TEXT NOT NULL,
    user_id UUID,
    sealed_letter BYTEA,
    state TEXT DEFAULT 'waiting' NOT NULL,
    code TEXT,
    good_until TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_outgoing_mails PRIMARY KEY (id),
    CONSTRAINT ck_outgoing_mails_state
        CHECK (state IN ('waiting', 'sent', 'bounced', 'gave_up')),
    CONSTRAINT ck_outgoing_mails_ended CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CONSTRAINT ck_outgoing_mails_erased CHECK (state = 'waiting' OR sealed_letter IS NULL),
    CONSTRAINT fk_outgoing_mails_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_outgoing_mails_ended_at ON outgoing_mails (ended_at) WHERE ended_at IS NOT NULL;
-- Whose act causes a mail writes it, in any scope; only the system reads, sends and ends it.
GRANT INSERT ON outgoing_mails
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT, UPDATE, DELETE ON outgoing_mails TO largesse_system;
GRANT SELECT (id, template, user_id, state, code, good_until, ended_at, created_at)
  ON outgoing_mails TO largesse_readonly;

CREATE TABLE password_resets (
    id UUID NOT NULL,
    user_id UUID,
    token_hash BYTEA NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_password_resets PRIMARY KEY (id),
    CONSTRAINT uq_password_resets_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_password_resets_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_password_resets_user_id ON password_resets (user_id);
CREATE INDEX ix_password_resets_expires_at ON password_resets (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON password_resets TO largesse_system;
GRANT SELECT (id, user_id, expires_at, ended_at, created_at)
  ON password_resets TO largesse_readonly;

CREATE TABLE registrations (
    id UUID NOT NULL,
    sealed_person BYTEA NOT NULL,
    token_hash BYTEA NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_registrations PRIMARY KEY (id),
    CONSTRAINT uq_registrations_token_hash UNIQUE (token_hash)
);
CREATE INDEX ix_registrations_expires_at ON registrations (expires_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON registrations TO largesse_system;
GRANT SELECT (id, expires_at, created_at) ON registrations TO largesse_readonly;

CREATE TABLE invitations (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    role TEXT NOT NULL,
    sealed_guest BYTEA,
    account BYTEA NOT NULL,
    token_hash BYTEA NOT NULL,
    mail_id UUID NOT NULL,
    invited_by UUID NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    user_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_invitations PRIMARY KEY (id),
    CONSTRAINT uq_invitations_token_hash UNIQUE (token_hash),
    CONSTRAINT ck_invitations_role CHECK (role IN ('platform_admin', 'platform_support',
        'agency_admin', 'agency_viewer', 'client_admin', 'campaign_manager', 'client_viewer',
        'storefront_key', 'end_user')),
    CONSTRAINT ck_invitations_erased CHECK ((ended_at IS NULL) = (sealed_guest IS NOT NULL)),
    CONSTRAINT fk_invitations_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_invitations_agency_id_id ON invitations (agency_id, id);
CREATE INDEX ix_invitations_client_id_id ON invitations (client_id, id);
CREATE INDEX ix_invitations_account ON invitations (account);
CREATE INDEX ix_invitations_expires_at ON invitations (expires_at);
-- Decision 0019: the planner keeps no statistics of whose rows are whose.
ALTER TABLE invitations ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE invitations ALTER COLUMN client_id SET STATISTICS 0;

ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON invitations TO largesse_platform USING (true);
CREATE POLICY system ON invitations TO largesse_system USING (true);
CREATE POLICY readonly ON invitations FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON invitations TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON invitations TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
-- Who manages people sees and withdraws invitations, and never sees what proves whose one is.
GRANT SELECT (id, agency_id, client_id, role, sealed_guest, mail_id, invited_by, expires_at,
    ended_at, user_id, created_at),
  UPDATE (ended_at, sealed_guest)
  ON invitations TO largesse_platform, largesse_agency, largesse_client;
GRANT SELECT, INSERT, UPDATE, DELETE ON invitations TO largesse_system;
GRANT SELECT (id, agency_id, client_id, role, mail_id, invited_by, expires_at, ended_at, user_id,
  created_at) ON invitations TO largesse_readonly;

-- Whatever is sealed notes its key version (0010).
CREATE TRIGGER sealed_inserted AFTER INSERT ON outgoing_mails
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
  EXECUTE FUNCTION admit_inserted('sealed_letter');
CREATE TRIGGER sealed_changed AFTER UPDATE OF sealed_letter ON outgoing_mails
  FOR EACH ROW EXECUTE FUNCTION admit_changed('sealed_letter');
CREATE TRIGGER sealed_inserted AFTER INSERT ON registrations
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
  EXECUTE FUNCTION admit_inserted('sealed_person');
CREATE TRIGGER sealed_changed AFTER UPDATE OF sealed_person ON registrations
  FOR EACH ROW EXECUTE FUNCTION admit_changed('sealed_person');
CREATE TRIGGER sealed_inserted AFTER INSERT ON invitations
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
  EXECUTE FUNCTION admit_inserted('sealed_guest');
CREATE TRIGGER sealed_changed AFTER UPDATE OF sealed_guest ON invitations
  FOR EACH ROW EXECUTE FUNCTION admit_changed('sealed_guest');
