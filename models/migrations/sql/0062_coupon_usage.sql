-- FORCE hides every row from the owner too. Taken first and alone: nobody who writes events waits for
-- us while we wait for them.
ALTER TABLE coupon_events NO FORCE ROW LEVEL SECURITY;

-- How many coupons of a book were assigned, released, redeemed and voided on each day (UTC): deltas
-- that are only inserted, so that nobody waits, and their sums (decision 0032).
CREATE TABLE coupon_usage_deltas (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    book_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    day DATE NOT NULL,
    assigned INTEGER NOT NULL,
    released INTEGER NOT NULL,
    redeemed INTEGER NOT NULL,
    voided INTEGER NOT NULL,
    CONSTRAINT pk_coupon_usage_deltas PRIMARY KEY (id)
);
CREATE INDEX ix_coupon_usage_deltas_book_id ON coupon_usage_deltas (book_id);
CREATE TABLE coupon_usage_daily (
    book_id UUID NOT NULL,
    day DATE NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    assigned BIGINT NOT NULL,
    released BIGINT NOT NULL,
    redeemed BIGINT NOT NULL,
    voided BIGINT NOT NULL,
    CONSTRAINT pk_coupon_usage_daily PRIMARY KEY (book_id, day),
    CONSTRAINT fk_coupon_usage_daily_book_id_agency_id_client_id_books
        FOREIGN KEY (book_id, agency_id, client_id) REFERENCES books (id, agency_id, client_id)
);
CREATE INDEX ix_coupon_usage_daily_agency_id_day ON coupon_usage_daily (agency_id, day);
CREATE INDEX ix_coupon_usage_daily_client_id_day ON coupon_usage_daily (client_id, day);
CREATE VIEW coupon_usage WITH (security_invoker = true) AS
  SELECT book_id, agency_id, client_id, day, assigned, released, redeemed, voided
  FROM coupon_usage_daily
  UNION ALL
  SELECT book_id, agency_id, client_id, day, assigned, released, redeemed, voided
  FROM coupon_usage_deltas;

-- A lock that is taken, given up or runs out is no use, and writes nothing.
CREATE FUNCTION count_coupon_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO coupon_usage_deltas (book_id, agency_id, client_id, day, assigned, released, redeemed,
                                   voided)
  SELECT book_id, agency_id, client_id, (at AT TIME ZONE 'UTC')::date,
    count(*) FILTER (WHERE move = 'assigned'), count(*) FILTER (WHERE move = 'released'),
    count(*) FILTER (WHERE move = 'redeemed'), count(*) FILTER (WHERE move = 'voided')
  FROM new_events WHERE move IN ('assigned', 'released', 'redeemed', 'voided') GROUP BY 1, 2, 3, 4;
  RETURN NULL;
END $$;
CREATE TRIGGER coupon_events_inserted AFTER INSERT ON coupon_events
  REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION count_coupon_usage();

-- Nobody writes an event from the first line to the commit: each is counted once, here or by the trigger.
INSERT INTO coupon_usage_daily (book_id, day, agency_id, client_id, assigned, released, redeemed, voided)
SELECT book_id, (at AT TIME ZONE 'UTC')::date, agency_id, client_id,
  count(*) FILTER (WHERE move = 'assigned'), count(*) FILTER (WHERE move = 'released'),
  count(*) FILTER (WHERE move = 'redeemed'), count(*) FILTER (WHERE move = 'voided')
FROM coupon_events WHERE move IN ('assigned', 'released', 'redeemed', 'voided') GROUP BY 1, 2, 3, 4;
ALTER TABLE coupon_events FORCE ROW LEVEL SECURITY;

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['coupon_usage_deltas', 'coupon_usage_daily'] LOOP
    EXECUTE format('ALTER TABLE %I ALTER COLUMN agency_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ALTER COLUMN client_id SET STATISTICS 0', t);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY platform ON %I TO largesse_platform USING (true)', t);
    EXECUTE format('CREATE POLICY system ON %I TO largesse_system USING (true)', t);
    EXECUTE format('CREATE POLICY readonly ON %I FOR SELECT TO largesse_readonly USING (true)', t);
    EXECUTE format($p$CREATE POLICY agency ON %I TO largesse_agency
      USING (agency_id = nullif(current_setting('app.agency_id', true), '')::uuid)$p$, t);
    EXECUTE format($p$CREATE POLICY client ON %I TO largesse_client
      USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid)$p$, t);
    EXECUTE format('GRANT SELECT ON %I TO largesse_platform, largesse_agency, largesse_client,
      largesse_system, largesse_readonly', t);
  END LOOP;
END $$;
GRANT INSERT ON coupon_usage_deltas
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT DELETE ON coupon_usage_deltas TO largesse_system;
GRANT INSERT, UPDATE ON coupon_usage_daily TO largesse_system;
GRANT SELECT ON coupon_usage TO largesse_platform, largesse_agency, largesse_client,
  largesse_system, largesse_readonly;
