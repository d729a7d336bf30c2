-- Wrong passwords in a row, by the digest of an address, whether or not anybody has it.
CREATE TABLE sign_in_failures (
    account BYTEA NOT NULL,
    failures INTEGER DEFAULT 0 NOT NULL,
    rests_until TIMESTAMP WITH TIME ZONE,
    tried_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sign_in_failures PRIMARY KEY (account)
);
CREATE INDEX ix_sign_in_failures_tried_at ON sign_in_failures (tried_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_failures TO largesse_system;
GRANT SELECT ON sign_in_failures TO largesse_readonly;
