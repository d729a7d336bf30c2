-- Any scope notes trouble of its own tenant, or the platform's, which has no tenant; nobody else's: it
-- would be shown and mailed to them as true.
ALTER TABLE alert_signals ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert_signals FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON alert_signals FOR INSERT TO largesse_platform WITH CHECK (true);
CREATE POLICY system ON alert_signals TO largesse_system USING (true);
CREATE POLICY readonly ON alert_signals FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON alert_signals FOR INSERT TO largesse_agency
  WITH CHECK (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid
    OR (agency_id IS NULL AND client_id IS NULL));
CREATE POLICY client ON alert_signals FOR INSERT TO largesse_client
  WITH CHECK (client_id = nullif(current_setting('app.client_id', true), '')::uuid
    OR (agency_id IS NULL AND client_id IS NULL));
