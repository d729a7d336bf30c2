-- A wider CHECK refuses nothing that was there; it is validated afterwards, while everybody works.
ALTER TABLE transfers DROP CONSTRAINT ck_transfers_kind, ADD CONSTRAINT ck_transfers_kind
    CHECK (kind IN ('top_up', 'allocation', 'recall', 'capture', 'refund', 'replacement',
                    'adjustment', 'reversal', 'claw_back', 'opening')) NOT VALID;

-- The platform's own: it names every tenant.
CREATE TABLE IF NOT EXISTS balance_sheets (
    id UUID NOT NULL,
    sha256 BYTEA NOT NULL,
    file BYTEA NOT NULL,
    reason TEXT NOT NULL,
    asked_by UUID NOT NULL,
    report JSONB NOT NULL,
    lines BYTEA,
    applied_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_balance_sheets PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS uq_balance_sheets_applied ON balance_sheets (sha256)
  WHERE applied_at IS NOT NULL;
GRANT SELECT, INSERT, UPDATE ON balance_sheets TO largesse_platform, largesse_system;
GRANT SELECT ON balance_sheets TO largesse_readonly;
