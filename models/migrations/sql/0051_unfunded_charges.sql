-- What is charged for the rows of a job that nothing is held for; it says so while the job may go on.
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS unfunded_minor BIGINT DEFAULT 0 NOT NULL;

-- Kept here, so that it follows `funded_to` whoever moves it, code of earlier releases too. Rows that
-- wait for credit stay pending: each step takes off what it covers, and reads no row beyond.
CREATE OR REPLACE FUNCTION count_unfunded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.funded_to IS NULL THEN
    NEW.unfunded_minor := 0;
  ELSIF OLD.funded_to IS NULL OR NEW.funded_to < OLD.funded_to THEN
    NEW.unfunded_minor := (SELECT coalesce(sum(charge_minor), 0) FROM items
      WHERE job_id = NEW.id AND position > NEW.funded_to AND state = 'pending');
  ELSE
    NEW.unfunded_minor := OLD.unfunded_minor - (SELECT coalesce(sum(charge_minor), 0) FROM items
      WHERE job_id = NEW.id AND position > OLD.funded_to AND position <= NEW.funded_to
        AND state = 'pending');
  END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER jobs_funded BEFORE UPDATE OF funded_to ON jobs
  FOR EACH ROW WHEN (OLD.funded_to IS DISTINCT FROM NEW.funded_to)
  EXECUTE FUNCTION count_unfunded();
