-- Refresh tokens are derived from the sign-in and its generation: no hash of them is kept.
ALTER TABLE sign_ins ALTER COLUMN token_hash DROP NOT NULL;
ALTER TABLE sign_ins ADD COLUMN generation INTEGER DEFAULT 0 NOT NULL,
    ADD COLUMN rotated_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN proven_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN address TEXT,
    ADD COLUMN user_agent TEXT;
-- The tokens that were given out until now name no generation: their holders sign in again.
UPDATE sign_ins SET revoked_at = now() WHERE kind = 'refresh' AND revoked_at IS NULL;
GRANT SELECT (generation, rotated_at, proven_at) ON sign_ins TO largesse_readonly;

CREATE TABLE authenticators (
    user_id UUID NOT NULL,
    secret_sealed BYTEA,
    last_step BIGINT DEFAULT 0 NOT NULL,
    confirmed_at TIMESTAMP WITH TIME ZONE,
    pending_sealed BYTEA,
    pending_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_authenticators PRIMARY KEY (user_id),
    CONSTRAINT fk_authenticators_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE TABLE recovery_codes (
    user_id UUID NOT NULL,
    code_hash BYTEA NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_recovery_codes PRIMARY KEY (user_id, code_hash),
    CONSTRAINT fk_recovery_codes_user_id_users FOREIGN KEY (user_id) REFERENCES users (id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON authenticators, recovery_codes TO largesse_system;
GRANT SELECT (user_id, confirmed_at) ON authenticators TO largesse_readonly;
GRANT SELECT (user_id, used_at) ON recovery_codes TO largesse_readonly;
