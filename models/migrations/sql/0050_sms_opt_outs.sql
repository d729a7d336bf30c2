-- Phones that answered STOP, by a keyed hash alone: nobody can read a number out of it. They are nobody's
-- in particular, because the number that all tenants send from is the house's.
CREATE TABLE sms_opt_outs (
    number_key BYTEA NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_sms_opt_outs PRIMARY KEY (number_key)
);
GRANT SELECT ON sms_opt_outs TO largesse_client, largesse_readonly;
GRANT SELECT, INSERT, DELETE ON sms_opt_outs TO largesse_system;
