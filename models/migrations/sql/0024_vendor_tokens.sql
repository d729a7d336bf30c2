-- A vendor's access token is shared by all workers: one row per account, sealed, renewed by one of
-- them at a time. The row's id is made from the account, so another account never gets this token.
CREATE TABLE vendor_tokens (
    id UUID NOT NULL,
    vendor TEXT NOT NULL,
    token_sealed BYTEA,
    good_until TIMESTAMP WITH TIME ZONE,
    renewed_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_vendor_tokens PRIMARY KEY (id),
    CONSTRAINT ck_vendor_tokens_good CHECK (token_sealed IS NULL OR good_until IS NOT NULL)
);
GRANT SELECT, INSERT, UPDATE ON vendor_tokens TO largesse_system;
GRANT SELECT (id, vendor, good_until, renewed_until, created_at) ON vendor_tokens
  TO largesse_readonly;

CREATE TRIGGER sealed_inserted AFTER INSERT ON vendor_tokens
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
  EXECUTE FUNCTION admit_inserted('token_sealed');
CREATE TRIGGER sealed_changed AFTER UPDATE OF token_sealed ON vendor_tokens
  FOR EACH ROW EXECUTE FUNCTION admit_changed('token_sealed');
