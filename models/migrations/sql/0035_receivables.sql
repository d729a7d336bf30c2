-- Accounts first, as whoever moves credit locks them.
-- Code of before goes on holding credit of a restricted account until it is replaced.
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS restricted_at TIMESTAMP WITH TIME ZONE;

-- A wider CHECK refuses nothing that was there; it is validated afterwards, while everybody works.
ALTER TABLE transfers DROP CONSTRAINT ck_transfers_kind, ADD CONSTRAINT ck_transfers_kind
    CHECK (kind IN ('top_up', 'allocation', 'recall', 'capture', 'refund', 'replacement',
                    'adjustment', 'reversal', 'claw_back')) NOT VALID;

CREATE TABLE IF NOT EXISTS receivables (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    account_id UUID NOT NULL,
    transfer_id UUID NOT NULL,
    dispute_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    claimed BIGINT NOT NULL,
    taken BIGINT DEFAULT 0 NOT NULL,
    written_off BIGINT DEFAULT 0 NOT NULL,
    reason TEXT NOT NULL,
    actor_id UUID,
    settled_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_receivables PRIMARY KEY (id),
    CONSTRAINT uq_receivables_dispute_id UNIQUE (dispute_id),
    CONSTRAINT ck_receivables_parts CHECK (claimed > 0 AND taken >= 0 AND written_off >= 0
        AND taken + written_off <= claimed),
    CONSTRAINT ck_receivables_settled_is_paid
        CHECK ((settled_at IS NOT NULL) = (taken + written_off = claimed)),
    CONSTRAINT fk_receivables_account_id_accounts
        FOREIGN KEY (account_id) REFERENCES accounts (id),
    CONSTRAINT fk_receivables_account_id_agency_id_client_id_accounts
        FOREIGN KEY (account_id, agency_id, client_id)
        REFERENCES accounts (id, agency_id, client_id),
    CONSTRAINT fk_receivables_account_id_agency_id_accounts
        FOREIGN KEY (account_id, agency_id) REFERENCES accounts (id, agency_id),
    CONSTRAINT fk_receivables_transfer_id_transfers
        FOREIGN KEY (transfer_id) REFERENCES transfers (id)
);
CREATE INDEX IF NOT EXISTS ix_receivables_account_id_id ON receivables (account_id, id);
CREATE INDEX IF NOT EXISTS ix_receivables_transfer_id ON receivables (transfer_id);
-- Decision 0019: the planner keeps no statistics of whose rows are whose.
ALTER TABLE receivables ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE receivables ALTER COLUMN client_id SET STATISTICS 0;

ALTER TABLE receivables ENABLE ROW LEVEL SECURITY;
ALTER TABLE receivables FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS platform ON receivables;
CREATE POLICY platform ON receivables TO largesse_platform USING (true);
DROP POLICY IF EXISTS system ON receivables;
CREATE POLICY system ON receivables TO largesse_system USING (true);
DROP POLICY IF EXISTS readonly ON receivables;
CREATE POLICY readonly ON receivables FOR SELECT TO largesse_readonly USING (true);
DROP POLICY IF EXISTS agency ON receivables;
CREATE POLICY agency ON receivables TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
DROP POLICY IF EXISTS client ON receivables;
CREATE POLICY client ON receivables TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
-- A tenant sees what it owes; nobody but the platform and its duties writes it.
GRANT SELECT, INSERT, UPDATE ON receivables TO largesse_platform, largesse_system;
GRANT SELECT ON receivables TO largesse_agency, largesse_client, largesse_readonly;
