-- Who is told of alerts by mail, and what they were told of lately.
CREATE TABLE alert_subscriptions (
    user_id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    severity TEXT NOT NULL,
    kinds TEXT[],
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_alert_subscriptions PRIMARY KEY (user_id),
    CONSTRAINT ck_alert_subscriptions_severity
        CHECK (severity IN ('info', 'warning', 'critical', 'none')),
    CONSTRAINT fk_alert_subscriptions_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE INDEX ix_alert_subscriptions_agency_id ON alert_subscriptions (agency_id);
CREATE INDEX ix_alert_subscriptions_client_id ON alert_subscriptions (client_id);
ALTER TABLE alert_subscriptions ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE alert_subscriptions ALTER COLUMN client_id SET STATISTICS 0;

ALTER TABLE alert_subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert_subscriptions FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON alert_subscriptions TO largesse_platform USING (true);
CREATE POLICY system ON alert_subscriptions TO largesse_system USING (true);
CREATE POLICY readonly ON alert_subscriptions FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON alert_subscriptions TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON alert_subscriptions TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON alert_subscriptions
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT ON alert_subscriptions TO largesse_readonly;

CREATE TABLE alert_notices (
    about TEXT NOT NULL,
    level INTEGER NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_alert_notices PRIMARY KEY (about, level)
);
CREATE INDEX ix_alert_notices_at ON alert_notices (at);
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_notices TO largesse_system;
GRANT SELECT ON alert_notices TO largesse_readonly;

-- What a person raises is written, and told of, by the system.
REVOKE INSERT ON alerts FROM largesse_platform, largesse_agency, largesse_client;
