-- Fair ringing at any backlog, dead letters, processes that say they live, and jobs undone.
-- No process of 0002's code may run beside it: its relay and workers would take the chunk of an
-- undo for one that gives cards, and its fronts would show a card that was taken back. Every column
-- has a default, so work that 0002 left behind is done by what is started after.
-- The indexes are built while tasks, jobs, chunks, audit_entries and provisions are locked.

-- Within a lane, flows take turns: a job's tasks are one flow, requests of one item share one.
ALTER TABLE tasks ADD COLUMN flow UUID DEFAULT '00000000-0000-0000-0000-000000000000' NOT NULL;
ALTER TABLE tasks ADD COLUMN died_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE tasks DROP CONSTRAINT ck_tasks_state;
ALTER TABLE tasks ADD CONSTRAINT ck_tasks_state CHECK (state IN ('ready', 'dead', 'buried'));
-- The relay hops from flow to flow on the first and counts what is out on the second.
CREATE INDEX ix_tasks_unrung ON tasks (queue, lane, flow, priority, run_after)
    WHERE state = 'ready' AND rung_at IS NULL;
CREATE INDEX ix_tasks_rung ON tasks (rung_at, queue, lane)
    WHERE state = 'ready' AND rung_at IS NOT NULL;
CREATE INDEX ix_tasks_dead ON tasks (died_at) WHERE state <> 'ready';
DROP INDEX ix_tasks_due;

-- A process writes its row again every few seconds; a row that grows old is a process that is gone.
CREATE TABLE processes (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    busy INTEGER DEFAULT 0 NOT NULL,
    done BIGINT DEFAULT 0 NOT NULL,
    failed BIGINT DEFAULT 0 NOT NULL,
    rate_per_second REAL DEFAULT 0 NOT NULL,
    rss_bytes BIGINT DEFAULT 0 NOT NULL,
    state TEXT DEFAULT 'running' NOT NULL,
    trouble TEXT,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    beat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_processes PRIMARY KEY (id),
    CONSTRAINT ck_processes_state CHECK (state IN ('running', 'draining'))
);
CREATE INDEX ix_processes_beat_at ON processes (beat_at);

-- A queue has a row once somebody has paused it.
CREATE TABLE queues (
    name TEXT NOT NULL,
    paused_at TIMESTAMP WITH TIME ZONE,
    paused_by UUID,
    pause_reason TEXT,
    CONSTRAINT pk_queues PRIMARY KEY (name)
);

-- 50 goes before 100 goes before 150, among the jobs of one tenant.
ALTER TABLE jobs ADD COLUMN priority SMALLINT DEFAULT 100 NOT NULL;
ALTER TABLE jobs ADD COLUMN cloned_from_id UUID;
ALTER TABLE jobs ADD COLUMN undoes_id UUID;
CREATE INDEX ix_jobs_open ON jobs (client_id)
    WHERE state IN ('queued', 'running', 'paused', 'cancelling');
CREATE UNIQUE INDEX uq_jobs_undoing ON jobs (undoes_id)
    WHERE undoes_id IS NOT NULL AND state IN ('queued', 'running', 'paused', 'cancelling');
CREATE INDEX ix_jobs_undoes_id ON jobs (undoes_id) WHERE undoes_id IS NOT NULL;
CREATE INDEX ix_chunks_open ON chunks (client_id) WHERE state <> 'closed';
CREATE INDEX ix_audit_entries_object_id_at ON audit_entries (object_id, at)
    WHERE object_id IS NOT NULL;

-- An undone provision stays as history; its card may then be given to somebody else.
ALTER TABLE provisions ADD COLUMN undone_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE provisions ADD COLUMN undone_job_id UUID;
ALTER TABLE provisions ADD COLUMN undo_transfer_id UUID;
ALTER TABLE provisions DROP CONSTRAINT uq_provisions_card_id;
CREATE UNIQUE INDEX uq_provisions_card_id ON provisions (card_id) WHERE undone_at IS NULL;
-- Who gave a card back sees it no more: it may be another tenant's by now.
DROP POLICY own ON cards;
CREATE POLICY own ON cards FOR SELECT TO largesse_agency, largesse_client
  USING (EXISTS (SELECT FROM provisions p WHERE p.card_id = cards.id AND p.undone_at IS NULL));
CREATE INDEX ix_provisions_undo_transfer_id ON provisions (undo_transfer_id)
    WHERE undo_transfer_id IS NOT NULL;

-- Nobody saw these cards: they go back into stock. A card a vendor sold joins the buffer pool of
-- its kind, as the pool's own, or is kept aside where there is none. Returns how many went back.
-- Only what this job has undone in this very transaction is returned, and nothing that anybody
-- has: until the commit nobody else can have been given such a card.
CREATE FUNCTION return_cards(p_client uuid, p_job uuid, p_cards uuid[]) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  returned integer;
  -- The house's clock (models/clock.py).
  undone_now timestamptz := transaction_timestamp()
    + coalesce(nullif(current_setting('app.clock_offset', true), ''), '0')::interval;
BEGIN
  IF p_client IS NULL
     OR p_client IS DISTINCT FROM nullif(current_setting('app.client_id', true), '')::uuid THEN
    RAISE EXCEPTION 'cards are returned in the scope of their client only'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  WITH undone AS MATERIALIZED (
    SELECT c.id, c.source = 'api' AS is_bought, b.id AS pool, b.client_id AS pool_client
    FROM cards c LEFT JOIN LATERAL (
        SELECT b.id, b.client_id FROM card_pools b
        WHERE c.source = 'api' AND b.kind = 'buffer' AND b.brand_id = c.brand_id
          AND b.denomination_minor = c.denomination_minor AND b.currency = c.currency
          AND (b.client_id IS NULL OR b.client_id = p_client)
        ORDER BY b.client_id NULLS LAST, b.id LIMIT 1) b ON true
    WHERE c.id = ANY (p_cards) AND c.state = 'issued'
      AND EXISTS (SELECT FROM provisions p WHERE p.card_id = c.id AND p.client_id = p_client
                  AND p.undone_job_id = p_job AND p.undone_at = undone_now
                  AND p.revealed_at IS NULL)
      AND NOT EXISTS (SELECT FROM provisions p WHERE p.card_id = c.id AND p.undone_at IS NULL)
    ORDER BY c.id FOR NO KEY UPDATE OF c)
  UPDATE cards c SET
      pool_id = coalesce(u.pool, c.pool_id),
      client_id = CASE WHEN u.pool IS NULL THEN c.client_id ELSE u.pool_client END,
      source = CASE WHEN u.pool IS NULL THEN c.source ELSE 'buffer' END,
      state = CASE WHEN u.is_bought AND u.pool IS NULL THEN 'quarantined' ELSE 'available' END
    FROM undone u WHERE c.id = u.id;
  GET DIAGNOSTICS returned = ROW_COUNT;
  RETURN returned;
END $$;
REVOKE ALL ON FUNCTION return_cards FROM PUBLIC;
GRANT EXECUTE ON FUNCTION return_cards TO largesse_client;
-- return_cards runs as the owner, who sees the provisions of the client in scope, and everybody's
-- live ones: whose card it is now decides. No tenant can take this role.
CREATE POLICY owner ON provisions FOR SELECT TO largesse_owner
  USING (undone_at IS NULL OR client_id = nullif(current_setting('app.client_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE, DELETE ON processes TO largesse_system;
GRANT SELECT, INSERT, UPDATE ON queues TO largesse_system;
GRANT SELECT ON processes, queues
  TO largesse_platform, largesse_agency, largesse_client, largesse_readonly;
