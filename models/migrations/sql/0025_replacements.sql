-- A wider CHECK refuses nothing that was there; it is validated afterwards, while everybody works.
ALTER TABLE cards DROP CONSTRAINT ck_cards_state, ADD CONSTRAINT ck_cards_state
    CHECK (state IN ('available', 'issued', 'quarantined', 'void', 'defective')) NOT VALID;
ALTER TABLE transfers DROP CONSTRAINT ck_transfers_kind, ADD CONSTRAINT ck_transfers_kind
    CHECK (kind IN ('top_up', 'allocation', 'recall', 'capture', 'refund', 'replacement',
                    'adjustment', 'reversal')) NOT VALID;

-- What was given and did not work stays as history, with the job that gives another card for it.
ALTER TABLE provisions ADD COLUMN IF NOT EXISTS replaced_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE provisions ADD COLUMN IF NOT EXISTS replacement_job_id UUID;
ALTER TABLE provisions ADD COLUMN IF NOT EXISTS replacement_transfer_id UUID;

-- The card of a provision that this very transaction has marked as replaced: whoever could mark it
-- may. False if it is not in the hands it was given to.
CREATE OR REPLACE FUNCTION mark_defective(p_provision uuid, p_job uuid) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  in_client uuid := nullif(current_setting('app.client_id', true), '')::uuid;
  in_agency uuid := nullif(current_setting('app.agency_id', true), '')::uuid;
  -- The house's clock (models/clock.py).
  replaced_now timestamptz := transaction_timestamp()
    + coalesce(nullif(current_setting('app.clock_offset', true), ''), '0')::interval;
BEGIN
  UPDATE cards c SET state = 'defective'
  FROM provisions p
  WHERE p.id = p_provision AND p.replacement_job_id = p_job AND p.replaced_at = replaced_now
    AND p.undone_at IS NULL AND c.id = p.card_id AND c.state = 'issued'
    AND (in_client IS NULL OR p.client_id = in_client)
    AND (in_agency IS NULL OR p.agency_id = in_agency);
  RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION mark_defective FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mark_defective
  TO largesse_platform, largesse_agency, largesse_client;

-- As before, and: the charge of a card that is replaced goes to the other card; its cost was spent.
CREATE OR REPLACE FUNCTION count_issued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO issued_deltas (agency_id, client_id, campaign_id, day, source, currency, cards,
                               charge_minor, cost_minor, cards_without_cost)
    SELECT agency_id, client_id, campaign_id, (created_at AT TIME ZONE 'UTC')::date, source, currency,
           count(*), sum(charge_minor),
           coalesce(sum(cost_minor) FILTER (WHERE cost_currency = currency), 0),
           count(*) FILTER (WHERE cost_minor IS NULL OR cost_currency IS DISTINCT FROM currency)
    FROM new_provisions GROUP BY 1, 2, 3, 4, 5, 6;
  ELSE
    INSERT INTO issued_deltas (agency_id, client_id, campaign_id, day, source, currency, cards,
                               charge_minor, cost_minor, cards_without_cost)
    SELECT n.agency_id, n.client_id, n.campaign_id, (n.undone_at AT TIME ZONE 'UTC')::date, n.source,
           n.currency, -count(*), -sum(n.charge_minor),
           -coalesce(sum(n.cost_minor) FILTER (WHERE n.cost_currency = n.currency), 0),
           -count(*) FILTER (WHERE n.cost_minor IS NULL OR n.cost_currency IS DISTINCT FROM n.currency)
    FROM new_provisions n JOIN old_provisions o ON o.id = n.id
    WHERE n.undone_at IS NOT NULL AND o.undone_at IS NULL
    GROUP BY 1, 2, 3, 4, 5, 6;
    INSERT INTO issued_deltas (agency_id, client_id, campaign_id, day, source, currency, cards,
                               charge_minor, cost_minor, cards_without_cost)
    SELECT n.agency_id, n.client_id, n.campaign_id, (n.replaced_at AT TIME ZONE 'UTC')::date, n.source,
           n.currency, -count(*), -sum(n.charge_minor), 0, 0
    FROM new_provisions n JOIN old_provisions o ON o.id = n.id
    WHERE n.replaced_at IS NOT NULL AND o.replaced_at IS NULL
    GROUP BY 1, 2, 3, 4, 5, 6;
  END IF;
  RETURN NULL;
END $$;
