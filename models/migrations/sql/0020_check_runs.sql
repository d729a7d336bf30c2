-- When the house last looked itself over: read by everybody, written by the system.
CREATE TABLE check_runs (
    name TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    duration_ms INTEGER NOT NULL,
    ok BOOLEAN,
    detail JSONB NOT NULL,
    CONSTRAINT pk_check_runs PRIMARY KEY (name)
);
GRANT SELECT ON check_runs TO largesse_platform, largesse_agency, largesse_client, largesse_readonly;
GRANT SELECT, INSERT, UPDATE ON check_runs TO largesse_system;
