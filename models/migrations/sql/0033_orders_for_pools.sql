-- An order at a vendor is for an item of a job, or for a pool that is filled ahead. A pool's is the
-- platform's: no tenant sees it. Code of before writes only the former, and looks at nothing else.

-- Pools first, as chunks lock them.
ALTER TABLE card_pools ADD COLUMN IF NOT EXISTS refill_paused_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE provider_orders
    ALTER COLUMN agency_id DROP NOT NULL,
    ALTER COLUMN client_id DROP NOT NULL,
    ALTER COLUMN job_id DROP NOT NULL,
    ALTER COLUMN position DROP NOT NULL,
    ADD COLUMN IF NOT EXISTS pool_id UUID
        CONSTRAINT fk_provider_orders_pool_id_card_pools REFERENCES card_pools (id),
    ADD COLUMN IF NOT EXISTS expected_cost_minor BIGINT,
    ADD COLUMN IF NOT EXISTS review_since TIMESTAMP WITH TIME ZONE,
    DROP CONSTRAINT IF EXISTS ck_provider_orders_purpose,
    ADD CONSTRAINT ck_provider_orders_purpose CHECK (
        num_nonnulls(agency_id, client_id, job_id, position)
        = CASE WHEN pool_id IS NULL THEN 4 ELSE 0 END) NOT VALID;
