-- A person raises alerts by hand, says what they did about one, and lets it rest for a time.
ALTER TABLE alerts ADD COLUMN note TEXT;
ALTER TABLE alerts ADD COLUMN snoozed_until TIMESTAMP WITH TIME ZONE;
GRANT INSERT, UPDATE (note, snoozed_until) ON alerts
  TO largesse_platform, largesse_agency, largesse_client;
