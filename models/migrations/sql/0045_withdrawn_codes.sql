-- A code that is taken back. Code of before looks at nothing here and would still give its card:
-- withdraw once every front is of the new code.
ALTER TABLE loaded_codes ADD COLUMN withdrawn_at TIMESTAMP WITH TIME ZONE;
GRANT UPDATE ON loaded_codes TO largesse_platform, largesse_agency, largesse_client;
