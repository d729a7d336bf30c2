-- Partners, whose sites show a widget in which their users claim one coupon a month (S0).

CREATE TABLE partners (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    -- Where the widget may be shown: `scheme://host[:port]`, as browsers write it.
    origins TEXT[] DEFAULT '{}' NOT NULL,
    disabled_at TIMESTAMP WITH TIME ZONE,
    token_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_partners PRIMARY KEY (id),
    CONSTRAINT fk_partners_agency_id_client_id_clients
        FOREIGN KEY (agency_id, client_id) REFERENCES clients (agency_id, id)
);
CREATE UNIQUE INDEX uq_partners_tenant ON partners (id, agency_id, client_id);
CREATE INDEX ix_partners_client_id_id ON partners (client_id, id);
CREATE INDEX ix_partners_agency_id_id ON partners (agency_id, id);
-- A browser asks for any partner whether it may read the answer.
CREATE INDEX ix_partners_origins ON partners USING gin (origins);

-- Keys by which a partner signs its users' tokens. One has no end; those before it are good for a
-- while beside it. An ended one has no text any more.
CREATE TABLE partner_secrets (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    partner_id UUID NOT NULL,
    secret_sealed BYTEA,
    last4 TEXT NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    used_at TIMESTAMP WITH TIME ZONE,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_partner_secrets PRIMARY KEY (id),
    CONSTRAINT ck_partner_secrets_text CHECK (secret_sealed IS NOT NULL OR ends_at IS NOT NULL),
    CONSTRAINT fk_partner_secrets_partner_id_agency_id_client_id_partners
        FOREIGN KEY (partner_id, agency_id, client_id) REFERENCES partners (id, agency_id, client_id)
);
CREATE UNIQUE INDEX uq_partner_secrets_current ON partner_secrets (partner_id) WHERE ends_at IS NULL;
CREATE INDEX ix_partner_secrets_partner_id_id ON partner_secrets (partner_id, id);
CREATE INDEX ix_partner_secrets_ends_at ON partner_secrets (ends_at)
    WHERE ends_at IS NOT NULL AND secret_sealed IS NOT NULL;
CREATE TRIGGER sealed_inserted AFTER INSERT ON partner_secrets
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT
  EXECUTE FUNCTION admit_inserted('secret_sealed');
CREATE TRIGGER sealed_changed AFTER UPDATE OF secret_sealed ON partner_secrets
  FOR EACH ROW EXECUTE FUNCTION admit_changed('secret_sealed');

-- Books whose coupons a partner's users may claim, in the order in which they are shown.
CREATE TABLE partner_offers (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    partner_id UUID NOT NULL,
    book_id UUID NOT NULL,
    title TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    place INTEGER NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_partner_offers PRIMARY KEY (id),
    CONSTRAINT fk_partner_offers_partner_id_agency_id_client_id_partners
        FOREIGN KEY (partner_id, agency_id, client_id) REFERENCES partners (id, agency_id, client_id),
    CONSTRAINT fk_partner_offers_book_id_agency_id_client_id_books
        FOREIGN KEY (book_id, agency_id, client_id) REFERENCES books (id, agency_id, client_id)
);
CREATE UNIQUE INDEX uq_partner_offers_tenant ON partner_offers (id, agency_id, client_id);
CREATE UNIQUE INDEX uq_partner_offers_book ON partner_offers (partner_id, book_id)
    WHERE ended_at IS NULL;

-- Who a partner's user is here: exact bytes, the same person from every device (EC-107).
CREATE TABLE partner_users (
    partner_id UUID NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    user_id UUID NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_partner_users PRIMARY KEY (partner_id, external_id),
    CONSTRAINT ck_partner_users_external_id CHECK (length(external_id) BETWEEN 1 AND 255),
    CONSTRAINT fk_partner_users_partner_id_agency_id_client_id_partners
        FOREIGN KEY (partner_id, agency_id, client_id) REFERENCES partners (id, agency_id, client_id),
    -- The person is made when it is certain that there was none.
    CONSTRAINT fk_partner_users_client_id_user_id_client_users
        FOREIGN KEY (client_id, user_id) REFERENCES client_users (client_id, user_id)
        DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX uq_partner_users_user_id ON partner_users (user_id);

-- A user's visit to the widget: its token is kept as a digest only.
CREATE TABLE widget_sessions (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    partner_id UUID NOT NULL,
    user_id UUID NOT NULL,
    token_hash BYTEA NOT NULL,
    -- The site it was opened for, one of its partner's; NULL for one that a server opened.
    origin TEXT,
    -- Whether that site itself asks, and not the widget's frame in it.
    is_direct BOOLEAN NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_widget_sessions PRIMARY KEY (id),
    CONSTRAINT ck_widget_sessions_direct CHECK (NOT is_direct OR origin IS NOT NULL),
    CONSTRAINT fk_widget_sessions_partner_id_agency_id_client_id_partners
        FOREIGN KEY (partner_id, agency_id, client_id) REFERENCES partners (id, agency_id, client_id),
    CONSTRAINT fk_widget_sessions_client_id_user_id_client_users
        FOREIGN KEY (client_id, user_id) REFERENCES client_users (client_id, user_id)
);
CREATE UNIQUE INDEX uq_widget_sessions_token_hash ON widget_sessions (token_hash);
CREATE INDEX ix_widget_sessions_living ON widget_sessions (partner_id, expires_at)
    WHERE revoked_at IS NULL;
CREATE INDEX ix_widget_sessions_user_id ON widget_sessions (user_id);
CREATE INDEX ix_widget_sessions_expires_at ON widget_sessions (expires_at);

-- Tokens that opened a session, each once; kept until an hour after nobody takes them any more (EC-103).
CREATE TABLE spent_tokens (
    partner_id UUID NOT NULL,
    jti_hash BYTEA NOT NULL,
    forget_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_spent_tokens PRIMARY KEY (partner_id, jti_hash)
);
CREATE INDEX ix_spent_tokens_forget_at ON spent_tokens (forget_at);

-- Why a partner's tokens were refused, counted by day.
CREATE TABLE partner_refusals (
    partner_id UUID NOT NULL,
    day DATE NOT NULL,
    reason TEXT NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    times INTEGER DEFAULT 1 NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_partner_refusals PRIMARY KEY (partner_id, day, reason),
    CONSTRAINT fk_partner_refusals_partner_id_agency_id_client_id_partners
        FOREIGN KEY (partner_id, agency_id, client_id) REFERENCES partners (id, agency_id, client_id)
);

-- One claim of a coupon, for good; one of a user at a partner in a month (S0-19, S0-20).
CREATE TABLE claims (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    partner_id UUID NOT NULL,
    user_id UUID NOT NULL,
    offer_id UUID NOT NULL,
    book_id UUID NOT NULL,
    coupon_id UUID NOT NULL,
    -- What the request named; NULL where any coupon would do.
    asked_coupon_id UUID,
    -- The first day of the month in the partner's time zone.
    claim_month DATE NOT NULL,
    claimed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_claims PRIMARY KEY (id),
    CONSTRAINT fk_claims_partner_id_agency_id_client_id_partners
        FOREIGN KEY (partner_id, agency_id, client_id) REFERENCES partners (id, agency_id, client_id),
    CONSTRAINT fk_claims_offer_id_agency_id_client_id_partner_offers
        FOREIGN KEY (offer_id, agency_id, client_id)
        REFERENCES partner_offers (id, agency_id, client_id),
    -- The book is the tenant's, and the coupon is of the book.
    CONSTRAINT fk_claims_book_id_agency_id_client_id_books
        FOREIGN KEY (book_id, agency_id, client_id) REFERENCES books (id, agency_id, client_id),
    CONSTRAINT fk_claims_book_id_coupon_id_coupons
        FOREIGN KEY (book_id, coupon_id) REFERENCES coupons (book_id, id),
    CONSTRAINT fk_claims_client_id_user_id_client_users
        FOREIGN KEY (client_id, user_id) REFERENCES client_users (client_id, user_id)
);
CREATE UNIQUE INDEX uq_claims_coupon_id ON claims (coupon_id);
CREATE UNIQUE INDEX uq_claims_month ON claims (partner_id, user_id, claim_month);
CREATE INDEX ix_claims_partner_id_id ON claims (partner_id, id);
CREATE INDEX ix_claims_user_id_id ON claims (user_id, id);
CREATE INDEX ix_claims_partner_id_claim_month ON claims (partner_id, claim_month);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['partners', 'partner_secrets', 'partner_offers', 'partner_users',
      'widget_sessions', 'partner_refusals', 'claims'] LOOP
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
      largesse_system', t);
  END LOOP;
  -- What whoever manages partners writes, in their own scope.
  FOREACH t IN ARRAY ARRAY['partners', 'partner_secrets', 'partner_offers'] LOOP
    EXECUTE format('GRANT INSERT, UPDATE ON %I TO largesse_platform, largesse_agency,
      largesse_client', t);
  END LOOP;
END $$;
-- Who may read everything reads nothing that opens a door.
GRANT SELECT ON partners, partner_offers, partner_users, partner_refusals, claims, spent_tokens
  TO largesse_readonly;
GRANT SELECT (id, agency_id, client_id, partner_id, last4, ends_at, used_at, created_by, created_at)
  ON partner_secrets TO largesse_readonly;
GRANT SELECT (id, agency_id, client_id, partner_id, user_id, origin, is_direct, expires_at, used_at,
  revoked_at, created_at) ON widget_sessions TO largesse_readonly;
-- What becomes of tokens and claims is written for the client whose partner it is.
GRANT INSERT, UPDATE ON widget_sessions, partner_refusals TO largesse_client;
GRANT INSERT ON claims TO largesse_client;
-- Whoever claims locks the row of the partner's user.
GRANT UPDATE (seen_at) ON partner_users TO largesse_client;
-- Whoever gives a partner another secret, or disables it, ends its visits.
GRANT UPDATE (revoked_at) ON widget_sessions TO largesse_platform, largesse_agency;
-- Duties: texts of ended secrets, visits that are over, people to be forgotten; a re-sealing.
GRANT UPDATE ON partner_secrets, widget_sessions TO largesse_system;
GRANT DELETE ON partner_users, widget_sessions, partner_refusals TO largesse_system;
-- Whoever manages a partner is told whether a token of it was used.
GRANT SELECT ON spent_tokens TO largesse_platform, largesse_agency, largesse_client;
GRANT INSERT ON spent_tokens TO largesse_client;
GRANT SELECT, DELETE ON spent_tokens TO largesse_system;

-- Who a partner's user is; whoever is seen for the first time is made, once however many come at once.
-- The person has no address and no credentials, and is known to the partner's client.
CREATE POLICY owner ON partner_users TO largesse_owner
  USING (client_id = nullif(current_setting('app.client_id', true), '')::uuid);
CREATE FUNCTION know_partner_user(p_agency uuid, p_client uuid, p_partner uuid, p_external_id text,
    p_id uuid, p_at timestamptz)
  RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  found uuid;
BEGIN
  IF NOT coalesce(current_setting('role') = 'largesse_client'
      AND p_client = nullif(current_setting('app.client_id', true), '')::uuid, false) THEN
    RAISE EXCEPTION 'the client is not the one in scope' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO partner_users AS u (partner_id, external_id, agency_id, client_id, user_id, seen_at)
    VALUES (p_partner, p_external_id, p_agency, p_client, p_id, p_at)
    ON CONFLICT (partner_id, external_id) DO UPDATE SET seen_at = greatest(u.seen_at, p_at)
    RETURNING user_id INTO found;
  IF found = p_id THEN
    INSERT INTO users (id, name, role) VALUES (p_id, '', 'end_user');
    INSERT INTO client_users (client_id, user_id, agency_id) VALUES (p_client, p_id, p_agency);
  END IF;
  RETURN found;
END $$;
REVOKE ALL ON FUNCTION know_partner_user FROM PUBLIC;
GRANT EXECUTE ON FUNCTION know_partner_user TO largesse_client;
