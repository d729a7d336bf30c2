-- Books of coupons, the coupons with their states, and the history of every one of them.

CREATE TABLE books (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT DEFAULT '' NOT NULL,
    random_length SMALLINT,
    alphabet TEXT,
    suffix TEXT DEFAULT '' NOT NULL,
    seals_codes BOOLEAN DEFAULT false NOT NULL,
    allow_multi_redemption BOOLEAN DEFAULT false NOT NULL,
    max_redemptions_per_coupon INTEGER,
    max_redemptions_per_user INTEGER,
    max_redemptions INTEGER,
    max_assignments_per_user INTEGER,
    max_assignments INTEGER,
    starts_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    closed_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    draws INTEGER DEFAULT 0 NOT NULL,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_books PRIMARY KEY (id),
    CONSTRAINT ck_books_pattern CHECK ((random_length IS NULL) = (alphabet IS NULL)),
    CONSTRAINT ck_books_random_length CHECK (random_length BETWEEN 1 AND 64),
    CONSTRAINT ck_books_window CHECK (expires_at > starts_at),
    CONSTRAINT ck_books_max_redemptions_per_coupon CHECK (max_redemptions_per_coupon > 0),
    CONSTRAINT ck_books_max_redemptions_per_user CHECK (max_redemptions_per_user > 0),
    CONSTRAINT ck_books_max_redemptions CHECK (max_redemptions > 0),
    CONSTRAINT ck_books_max_assignments_per_user CHECK (max_assignments_per_user > 0),
    CONSTRAINT ck_books_max_assignments CHECK (max_assignments > 0),
    CONSTRAINT ck_books_multi CHECK (allow_multi_redemption OR max_redemptions_per_coupon IS NULL
        OR max_redemptions_per_coupon = 1),
    CONSTRAINT fk_books_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_books_tenant ON books (id, agency_id, client_id);
CREATE INDEX ix_books_client_id_id ON books (client_id, id);
CREATE INDEX ix_books_agency_id_id ON books (agency_id, id);
CREATE INDEX ix_books_expires_at ON books (expires_at) WHERE closed_at IS NULL;

-- A coupon is inserted by the hundred thousand: its book is checked statement by statement below,
-- which is as good as a foreign key because no book is ever removed.
CREATE TABLE coupons (
    book_id UUID NOT NULL,
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    code TEXT,
    blind_index BYTEA NOT NULL,
    draw_key BIGINT NOT NULL,
    state TEXT DEFAULT 'unassigned' NOT NULL,
    user_id UUID,
    assigned_at TIMESTAMP WITH TIME ZONE,
    assigned_job_id UUID,
    assigned_position INTEGER,
    locked_until TIMESTAMP WITH TIME ZONE,
    redemptions INTEGER DEFAULT 0 NOT NULL,
    version INTEGER DEFAULT 0 NOT NULL,
    load_job_id UUID NOT NULL,
    CONSTRAINT pk_coupons PRIMARY KEY (book_id, id),
    CONSTRAINT ck_coupons_state
        CHECK (state IN ('unassigned', 'assigned', 'locked', 'redeemed', 'void')),
    CONSTRAINT ck_coupons_holder CHECK (CASE state WHEN 'unassigned' THEN user_id IS NULL
        WHEN 'void' THEN true ELSE user_id IS NOT NULL END),
    CONSTRAINT ck_coupons_locked CHECK ((state = 'locked') = (locked_until IS NOT NULL)),
    CONSTRAINT ck_coupons_redemptions CHECK (redemptions >= 0)
);
-- A code is one of its client's, whatever book it is in (EC-024, EC-101); the client is part of what is
-- indexed. Were it a column here, plans would go through all coupons of the client.
CREATE UNIQUE INDEX uq_coupons_code ON coupons (blind_index);
-- The deck: coupons that nobody has, in an order drawn when they came in (EC-088).
CREATE UNIQUE INDEX uq_coupons_deck ON coupons (book_id, draw_key) WHERE state = 'unassigned';
CREATE INDEX ix_coupons_holder ON coupons (user_id, id) WHERE user_id IS NOT NULL;
-- One effect per item (invariant 2).
CREATE UNIQUE INDEX uq_coupons_item ON coupons (assigned_job_id, assigned_position)
  WHERE assigned_job_id IS NOT NULL;
CREATE INDEX ix_coupons_locked ON coupons (locked_until) WHERE state = 'locked';

-- The text of a sealed book's codes; other books have it in the coupon.
CREATE TABLE coupon_codes (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    code_sealed BYTEA NOT NULL,
    last4 TEXT NOT NULL,
    CONSTRAINT pk_coupon_codes PRIMARY KEY (id)
);
CREATE TRIGGER sealed_inserted AFTER INSERT ON coupon_codes
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
  EXECUTE FUNCTION admit_inserted('code_sealed');
CREATE TRIGGER sealed_changed AFTER UPDATE OF code_sealed ON coupon_codes
  FOR EACH ROW EXECUTE FUNCTION admit_changed('code_sealed');

-- What was done to a coupon: `number` is the coupon's version after it.
CREATE TABLE coupon_events (
    coupon_id UUID NOT NULL,
    number INTEGER NOT NULL,
    book_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    move TEXT NOT NULL,
    user_id UUID,
    actor_id UUID,
    job_id UUID,
    position INTEGER,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    reason TEXT,
    CONSTRAINT pk_coupon_events PRIMARY KEY (coupon_id, number),
    CONSTRAINT ck_coupon_events_move CHECK (move IN
        ('assigned', 'locked', 'unlocked', 'lock_expired', 'redeemed', 'released', 'voided'))
);

CREATE TRIGGER coupon_events_immutable BEFORE UPDATE OR DELETE ON coupon_events
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- How many coupons of a book one person has and has redeemed, where that is limited; the zero id
-- stands for the book as a whole.
CREATE TABLE coupon_counts (
    book_id UUID NOT NULL,
    user_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    assigned INTEGER DEFAULT 0 NOT NULL,
    redeemed INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_coupon_counts PRIMARY KEY (book_id, user_id),
    CONSTRAINT ck_coupon_counts_counted CHECK (assigned >= 0 AND redeemed >= 0)
);

-- A redemption that was accepted and is not settled: one at a time (EC-085).
CREATE TABLE open_redemptions (
    coupon_id UUID NOT NULL,
    book_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    job_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_open_redemptions PRIMARY KEY (coupon_id),
    CONSTRAINT fk_open_redemptions_book_id_coupon_id_coupons
        FOREIGN KEY (book_id, coupon_id) REFERENCES coupons (book_id, id),
    CONSTRAINT fk_open_redemptions_job_id_agency_id_client_id_jobs
        FOREIGN KEY (job_id, agency_id, client_id) REFERENCES jobs (id, agency_id, client_id)
        ON DELETE CASCADE
);
CREATE INDEX ix_open_redemptions_job_id ON open_redemptions (job_id);

-- How many coupons of a book are in each state: deltas that are only inserted, so that nobody waits,
-- and their sums (decision 0032).
CREATE TABLE book_deltas (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    book_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    unassigned INTEGER NOT NULL,
    assigned INTEGER NOT NULL,
    locked INTEGER NOT NULL,
    redeemed INTEGER NOT NULL,
    void INTEGER NOT NULL,
    redemptions INTEGER NOT NULL,
    CONSTRAINT pk_book_deltas PRIMARY KEY (id)
);
CREATE INDEX ix_book_deltas_book_id ON book_deltas (book_id);
CREATE TABLE book_sums (
    book_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    unassigned BIGINT NOT NULL,
    assigned BIGINT NOT NULL,
    locked BIGINT NOT NULL,
    redeemed BIGINT NOT NULL,
    void BIGINT NOT NULL,
    redemptions BIGINT NOT NULL,
    CONSTRAINT pk_book_sums PRIMARY KEY (book_id),
    CONSTRAINT fk_book_sums_book_id_agency_id_client_id_books
        FOREIGN KEY (book_id, agency_id, client_id) REFERENCES books (id, agency_id, client_id)
);
CREATE VIEW book_stock WITH (security_invoker = true) AS
  SELECT book_id, agency_id, client_id, unassigned, assigned, locked, redeemed, void, redemptions
  FROM book_sums
  UNION ALL
  SELECT book_id, agency_id, client_id, unassigned, assigned, locked, redeemed, void, redemptions
  FROM book_deltas;

ALTER TABLE items ADD COLUMN user_id UUID;

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['books', 'coupons', 'coupon_codes', 'coupon_events', 'coupon_counts',
      'open_redemptions', 'book_deltas', 'book_sums'] LOOP
    -- Decision 0019: the planner keeps no statistics of whose rows are whose.
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
GRANT INSERT, UPDATE ON books, coupons, coupon_counts
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT INSERT ON coupon_codes, coupon_events, book_deltas
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT UPDATE ON coupon_codes TO largesse_system;
GRANT INSERT, DELETE ON open_redemptions
  TO largesse_platform, largesse_agency, largesse_client, largesse_system;
GRANT DELETE ON book_deltas TO largesse_system;
GRANT INSERT, UPDATE ON book_sums TO largesse_system;
GRANT SELECT ON book_stock TO largesse_platform, largesse_agency, largesse_client, largesse_system,
  largesse_readonly;

-- The moves of a coupon (docs/states.md), for whatever writes. A row whose move is legal pays for no
-- call: the condition is part of the trigger.
CREATE FUNCTION refuse_coupon_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a coupon that is % does not become %', OLD.state, NEW.state
    USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_coupons_moves';
END $$;
CREATE TRIGGER coupon_moves BEFORE UPDATE OF state ON coupons FOR EACH ROW
  WHEN (OLD.state <> NEW.state AND NOT CASE OLD.state
    WHEN 'unassigned' THEN NEW.state IN ('assigned', 'void')
    WHEN 'assigned' THEN NEW.state IN ('locked', 'redeemed', 'unassigned', 'void')
    WHEN 'locked' THEN NEW.state IN ('assigned', 'redeemed', 'void')
    ELSE false END)
  EXECUTE FUNCTION refuse_coupon_move();

-- What was redeemed once goes back to nobody's, and what ended changes in nothing.
CREATE FUNCTION refuse_coupon_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a coupon keeps its code and its past, and one that is % changes no more',
    OLD.state USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_coupons_past';
END $$;
CREATE TRIGGER coupon_past BEFORE UPDATE ON coupons FOR EACH ROW
  WHEN (OLD.state IN ('redeemed', 'void')
    OR NEW.book_id <> OLD.book_id OR NEW.id <> OLD.id OR NEW.client_id <> OLD.client_id
    OR NEW.agency_id <> OLD.agency_id OR NEW.code IS DISTINCT FROM OLD.code
    OR NEW.blind_index <> OLD.blind_index OR NEW.redemptions < OLD.redemptions
    OR (NEW.state = 'unassigned' AND OLD.redemptions > 0)
    OR NEW.version <> OLD.version + 1)
  EXECUTE FUNCTION refuse_coupon_change();

CREATE FUNCTION count_coupons() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF EXISTS (SELECT FROM (SELECT DISTINCT book_id, agency_id, client_id FROM new_coupons) n
               WHERE NOT EXISTS (SELECT FROM books b WHERE b.id = n.book_id
                 AND b.agency_id = n.agency_id AND b.client_id = n.client_id)) THEN
      RAISE EXCEPTION 'a coupon belongs to a book of its tenant'
        USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_coupons_book_id_agency_id_client_id_books';
    END IF;
    INSERT INTO book_deltas (book_id, agency_id, client_id, unassigned, assigned, locked, redeemed,
                             void, redemptions)
    SELECT book_id, agency_id, client_id, count(*) FILTER (WHERE state = 'unassigned'),
      count(*) FILTER (WHERE state = 'assigned'), count(*) FILTER (WHERE state = 'locked'),
      count(*) FILTER (WHERE state = 'redeemed'), count(*) FILTER (WHERE state = 'void'),
      sum(redemptions)
    FROM new_coupons GROUP BY 1, 2, 3;
  ELSE
    INSERT INTO book_deltas (book_id, agency_id, client_id, unassigned, assigned, locked, redeemed,
                             void, redemptions)
    SELECT * FROM (
      SELECT book_id, agency_id, client_id,
        coalesce(sum(one) FILTER (WHERE state = 'unassigned'), 0) AS unassigned,
        coalesce(sum(one) FILTER (WHERE state = 'assigned'), 0) AS assigned,
        coalesce(sum(one) FILTER (WHERE state = 'locked'), 0) AS locked,
        coalesce(sum(one) FILTER (WHERE state = 'redeemed'), 0) AS redeemed,
        coalesce(sum(one) FILTER (WHERE state = 'void'), 0) AS void,
        sum(one * redemptions) AS redemptions
      FROM (SELECT book_id, agency_id, client_id, state, redemptions, 1 AS one FROM new_coupons
            UNION ALL
            SELECT book_id, agency_id, client_id, state, redemptions, -1 FROM old_coupons) n
      GROUP BY 1, 2, 3) d
    WHERE (unassigned, assigned, locked, redeemed, void, redemptions) <> (0, 0, 0, 0, 0, 0);
  END IF;
  RETURN NULL;
END $$;
-- As for coupons: hundreds of people in one statement, of one book.
CREATE FUNCTION check_counted_books() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM (SELECT DISTINCT book_id, agency_id, client_id FROM new_counts) n
             WHERE NOT EXISTS (SELECT FROM books b WHERE b.id = n.book_id
               AND b.agency_id = n.agency_id AND b.client_id = n.client_id)) THEN
    RAISE EXCEPTION 'what is counted belongs to a book of its tenant'
      USING ERRCODE = 'foreign_key_violation',
        CONSTRAINT = 'fk_coupon_counts_book_id_agency_id_client_id_books';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER counts_inserted AFTER INSERT ON coupon_counts
  REFERENCING NEW TABLE AS new_counts FOR EACH STATEMENT EXECUTE FUNCTION check_counted_books();
CREATE TRIGGER coupons_inserted AFTER INSERT ON coupons
  REFERENCING NEW TABLE AS new_coupons FOR EACH STATEMENT EXECUTE FUNCTION count_coupons();
CREATE TRIGGER coupons_updated AFTER UPDATE ON coupons
  REFERENCING NEW TABLE AS new_coupons OLD TABLE AS old_coupons
  FOR EACH STATEMENT EXECUTE FUNCTION count_coupons();
