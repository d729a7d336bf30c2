-- Distributions: who was in the pool when it was accepted, what was drawn, and from which seed.

CREATE TABLE draws (
    job_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    book_id UUID NOT NULL,
    pool_id UUID NOT NULL,
    number INTEGER NOT NULL,
    seed TEXT NOT NULL,
    seed_is_given BOOLEAN NOT NULL,
    plan_hash TEXT NOT NULL,
    members INTEGER NOT NULL,
    after_key BIGINT,
    upto_key BIGINT,
    closed_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_draws PRIMARY KEY (job_id),
    CONSTRAINT fk_draws_job_id_agency_id_client_id_jobs
        FOREIGN KEY (job_id, agency_id, client_id) REFERENCES jobs (id, agency_id, client_id)
        ON DELETE CASCADE,
    CONSTRAINT fk_draws_book_id_agency_id_client_id_books
        FOREIGN KEY (book_id, agency_id, client_id) REFERENCES books (id, agency_id, client_id),
    CONSTRAINT fk_draws_pool_id_agency_id_client_id_user_pools
        FOREIGN KEY (pool_id, agency_id, client_id) REFERENCES user_pools (id, agency_id, client_id)
);
CREATE INDEX ix_draws_open ON draws (book_id) WHERE closed_at IS NULL;
CREATE INDEX ix_draws_pool_id ON draws (pool_id);

-- The pool as it was: members in its order, with how many each could still take; -1: not active.
CREATE TABLE draw_members (
    job_id UUID NOT NULL,
    piece INTEGER NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    user_ids UUID[] NOT NULL,
    capacities INTEGER[] NOT NULL,
    CONSTRAINT pk_draw_members PRIMARY KEY (job_id, piece),
    CONSTRAINT fk_draw_members_job_id_agency_id_client_id_jobs
        FOREIGN KEY (job_id, agency_id, client_id) REFERENCES jobs (id, agency_id, client_id)
        ON DELETE CASCADE
);

-- The coupons that were drawn for the items of one chunk, each beside its position.
CREATE TABLE draw_chunks (
    job_id UUID NOT NULL,
    chunk_number INTEGER NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    positions INTEGER[] NOT NULL,
    coupon_ids UUID[] NOT NULL,
    CONSTRAINT pk_draw_chunks PRIMARY KEY (job_id, chunk_number),
    CONSTRAINT fk_draw_chunks_job_id_agency_id_client_id_jobs
        FOREIGN KEY (job_id, agency_id, client_id) REFERENCES jobs (id, agency_id, client_id)
        ON DELETE CASCADE
);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['draws', 'draw_members', 'draw_chunks'] LOOP
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
    EXECUTE format('GRANT SELECT, INSERT ON %I TO largesse_platform, largesse_agency,
      largesse_client, largesse_system', t);
    EXECUTE format('GRANT SELECT ON %I TO largesse_readonly', t);
  END LOOP;
END $$;
GRANT UPDATE ON draws TO largesse_platform, largesse_agency, largesse_client, largesse_system;
