-- A plan for a launch may be withdrawn; nothing else of it changes.
ALTER TABLE refill_plans ADD COLUMN cancelled_at TIMESTAMP WITH TIME ZONE;
GRANT UPDATE (cancelled_at) ON refill_plans TO largesse_platform, largesse_system;
