-- Any scope writes a fact, of its own tenant alone: what it says is signed and sent to that tenant.
ALTER TABLE webhook_facts ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_facts FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON webhook_facts FOR INSERT TO largesse_platform WITH CHECK (true);
CREATE POLICY system ON webhook_facts TO largesse_system USING (true);
CREATE POLICY readonly ON webhook_facts FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON webhook_facts FOR INSERT TO largesse_agency
  WITH CHECK (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON webhook_facts FOR INSERT TO largesse_client
  WITH CHECK (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
