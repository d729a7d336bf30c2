-- The hold covers the items up to this position; NULL: all of them.
ALTER TABLE jobs ADD COLUMN funded_to INTEGER;
-- What the account held when credit last came in, and which shortage was told of since.
ALTER TABLE accounts ADD COLUMN full_minor BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE accounts ADD COLUMN told_level SMALLINT DEFAULT 0 NOT NULL;
-- FORCE hides every row from the owner too.
ALTER TABLE accounts NO FORCE ROW LEVEL SECURITY;
UPDATE accounts SET full_minor = balance WHERE kind = 'credit' AND balance > 0;
ALTER TABLE accounts FORCE ROW LEVEL SECURITY;
