-- An erasure waits, at the beginning of each round, for whoever was writing when the round was
-- asked for: transactions with lower numbers than this one. Nothing else that writes the row, such
-- as a rotation of keys, makes it wait for longer.
-- One that is under way gets this migration's own number, and another round.
ALTER TABLE erasures ADD COLUMN waits_for BIGINT
    DEFAULT CAST(CAST(pg_current_xact_id() AS text) AS bigint) NOT NULL;
ALTER TABLE erasures ADD COLUMN waits_since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;
ALTER TABLE erasures ADD COLUMN is_round_of_copies BOOLEAN DEFAULT false NOT NULL;
ALTER TABLE erasures ADD COLUMN has_found BOOLEAN DEFAULT true NOT NULL;
ALTER TABLE erasures ALTER COLUMN has_found SET DEFAULT false;
