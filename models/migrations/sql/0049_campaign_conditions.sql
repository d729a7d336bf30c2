-- When a campaign gives rewards, and how many: all optional.
ALTER TABLE campaigns
    ADD COLUMN starts_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN ends_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN max_rewards INTEGER,
    ADD COLUMN max_rewards_per_recipient INTEGER,
    ADD CONSTRAINT ck_campaigns_window CHECK (ends_at > starts_at),
    ADD CONSTRAINT ck_campaigns_max_rewards CHECK (max_rewards > 0),
    ADD CONSTRAINT ck_campaigns_max_rewards_per_recipient CHECK (max_rewards_per_recipient > 0);

-- A reward counts while its item is open and while its card is given: in all (the empty key), and for
-- each recipient where that is limited. A campaign without a row is not counted, and nobody waits.
CREATE TABLE reward_counts (
    campaign_id UUID NOT NULL,
    person_key BYTEA NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    counted INTEGER NOT NULL,
    CONSTRAINT pk_reward_counts PRIMARY KEY (campaign_id, person_key),
    CONSTRAINT fk_reward_counts_agency_id_client_id_campaign_id_campaigns
        FOREIGN KEY (agency_id, client_id, campaign_id) REFERENCES campaigns (agency_id, client_id, id)
);
ALTER TABLE reward_counts ALTER COLUMN agency_id SET STATISTICS 0;
ALTER TABLE reward_counts ALTER COLUMN client_id SET STATISTICS 0;
ALTER TABLE reward_counts ALTER COLUMN campaign_id SET STATISTICS 0;
ALTER TABLE reward_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE reward_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON reward_counts TO largesse_platform USING (true);
CREATE POLICY system ON reward_counts TO largesse_system USING (true);
CREATE POLICY readonly ON reward_counts FOR SELECT TO largesse_readonly USING (true);
CREATE POLICY agency ON reward_counts TO largesse_agency
  USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid);
CREATE POLICY client ON reward_counts TO largesse_client
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON reward_counts
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT SELECT ON reward_counts TO largesse_readonly;

-- Which of these campaigns are counted. Whoever begins to count locks the campaign FOR UPDATE and looks
-- in a new statement: it has counted what was committed before, and what comes after sees its row here.
CREATE FUNCTION counted_campaigns(p_campaigns uuid[]) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
  found uuid[];
BEGIN
  PERFORM FROM campaigns c WHERE c.id = ANY (p_campaigns) ORDER BY c.id FOR KEY SHARE;
  SELECT array_agg(r.campaign_id) INTO found FROM reward_counts r
  WHERE r.campaign_id = ANY (p_campaigns) AND r.person_key = '';
  RETURN found;
END $$;

-- The row of the whole is locked first, so that those of recipients are nobody else's meanwhile.
-- A recipient of whom nothing counts has no row: who is erased leaves no key here.
CREATE FUNCTION move_reward_counts(
    p_campaigns uuid[], p_persons bytea[], p_moves integer[])
  RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM reward_counts r
  WHERE r.campaign_id = ANY (p_campaigns) AND r.person_key = ''
  ORDER BY r.campaign_id FOR NO KEY UPDATE;
  UPDATE reward_counts r SET counted = r.counted + m.moved
  FROM (SELECT campaign, sum(moved) AS moved
        FROM unnest(p_campaigns, p_moves) AS u (campaign, moved) GROUP BY campaign) m
  WHERE r.campaign_id = m.campaign AND r.person_key = '' AND m.moved <> 0;
  UPDATE reward_counts r SET counted = r.counted + m.moved
  FROM unnest(p_campaigns, p_persons, p_moves) AS m (campaign, person, moved)
  JOIN campaigns c ON c.id = m.campaign AND c.max_rewards_per_recipient IS NOT NULL
  WHERE r.campaign_id = m.campaign AND r.person_key = m.person AND m.person <> '';
  INSERT INTO reward_counts (campaign_id, person_key, agency_id, client_id, counted)
  SELECT c.id, m.person, c.agency_id, c.client_id, m.moved
  FROM unnest(p_campaigns, p_persons, p_moves) AS m (campaign, person, moved)
  JOIN campaigns c ON c.id = m.campaign AND c.max_rewards_per_recipient IS NOT NULL
  WHERE m.person <> '' AND m.moved > 0 AND NOT EXISTS (
    SELECT FROM reward_counts r WHERE r.campaign_id = m.campaign AND r.person_key = m.person);
  DELETE FROM reward_counts r
  USING unnest(p_campaigns, p_persons, p_moves) AS m (campaign, person, moved)
  WHERE r.campaign_id = m.campaign AND r.person_key = m.person AND m.person <> ''
    AND m.moved < 0 AND r.counted = 0;
END $$;

CREATE FUNCTION count_open_rewards() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  counted uuid[];
  campaigns uuid[];
  persons bytea[];
  moves integer[];
BEGIN
  SELECT array_agg(DISTINCT j.campaign_id) INTO counted
  FROM (SELECT DISTINCT job_id FROM new_items) n JOIN jobs j ON j.id = n.job_id
  WHERE j.kind = 'provisioning';
  IF counted IS NOT NULL THEN
    counted := counted_campaigns(counted);
  END IF;
  IF counted IS NULL THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(campaign_id), array_agg(person), array_agg(moved)
    INTO campaigns, persons, moves
    FROM (SELECT j.campaign_id, coalesce(n.person_key, '') AS person, count(*)::integer AS moved
          FROM new_items n JOIN jobs j ON j.id = n.job_id
          WHERE j.kind = 'provisioning' AND j.campaign_id = ANY (counted)
            AND n.state IN ('pending', 'running', 'retrying', 'needs_review')
          GROUP BY 1, 2) d;
  ELSE
    SELECT array_agg(campaign_id), array_agg(person), array_agg(moved)
    INTO campaigns, persons, moves
    FROM (SELECT j.campaign_id, coalesce(n.person_key, '') AS person, sum(n.one)::integer AS moved
          FROM (SELECT job_id, person_key, state, 1 AS one FROM new_items
                UNION ALL
                SELECT job_id, person_key, state, -1 FROM old_items) n
          JOIN jobs j ON j.id = n.job_id
          WHERE j.kind = 'provisioning' AND j.campaign_id = ANY (counted)
            AND n.state IN ('pending', 'running', 'retrying', 'needs_review')
          GROUP BY 1, 2 HAVING sum(n.one) <> 0) d;
  END IF;
  IF campaigns IS NOT NULL THEN
    PERFORM move_reward_counts(campaigns, persons, moves);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION count_given_rewards() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  counted uuid[];
  campaigns uuid[];
  persons bytea[];
  moves integer[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(campaign_id), array_agg(person), array_agg(moved)
    INTO campaigns, persons, moves
    FROM (SELECT campaign_id, coalesce(person_key, '') AS person, count(*)::integer AS moved
          FROM new_provisions WHERE undone_at IS NULL AND replaced_at IS NULL
          GROUP BY 1, 2) d;
  ELSE
    SELECT array_agg(campaign_id), array_agg(person), array_agg(moved)
    INTO campaigns, persons, moves
    FROM (SELECT campaign_id, coalesce(person_key, '') AS person, sum(one)::integer AS moved
          FROM (SELECT campaign_id, person_key, 1 AS one FROM new_provisions
                WHERE undone_at IS NULL AND replaced_at IS NULL
                UNION ALL
                SELECT campaign_id, person_key, -1 FROM old_provisions
                WHERE undone_at IS NULL AND replaced_at IS NULL) n
          GROUP BY 1, 2 HAVING sum(one) <> 0) d;
  END IF;
  -- An opening, or whatever else is written about a card, moves nothing.
  IF campaigns IS NOT NULL THEN
    counted := counted_campaigns(campaigns);
    IF counted IS NOT NULL THEN
      PERFORM move_reward_counts(campaigns, persons, moves);
    END IF;
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER items_inserted_rewards AFTER INSERT ON items
  REFERENCING NEW TABLE AS new_items FOR EACH STATEMENT EXECUTE FUNCTION count_open_rewards();
CREATE TRIGGER items_updated_rewards AFTER UPDATE ON items
  REFERENCING NEW TABLE AS new_items OLD TABLE AS old_items
  FOR EACH STATEMENT EXECUTE FUNCTION count_open_rewards();
CREATE TRIGGER provisions_inserted_rewards AFTER INSERT ON provisions
  REFERENCING NEW TABLE AS new_provisions FOR EACH STATEMENT EXECUTE FUNCTION count_given_rewards();
CREATE TRIGGER provisions_updated_rewards AFTER UPDATE ON provisions
  REFERENCING NEW TABLE AS new_provisions OLD TABLE AS old_provisions
  FOR EACH STATEMENT EXECUTE FUNCTION count_given_rewards();
