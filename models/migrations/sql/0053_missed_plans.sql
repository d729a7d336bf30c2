-- Whether the cards of a launch were there at its time; nothing is told of launches of before.
ALTER TABLE refill_plans
    ADD COLUMN met_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN missed_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN dropped_at TIMESTAMP WITH TIME ZONE;
UPDATE refill_plans SET met_at = by WHERE by <= now();
GRANT UPDATE (met_at, missed_at, dropped_at) ON refill_plans TO largesse_system;
