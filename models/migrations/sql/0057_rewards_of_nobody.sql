-- As before, and a recipient of whom nothing counts has no row: who is erased leaves no key here.
CREATE OR REPLACE FUNCTION move_reward_counts(
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
