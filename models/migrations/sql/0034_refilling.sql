-- Buffers are filled ahead: up to a target, within a ceiling per day, and for launches.

ALTER TABLE card_pools
    ADD COLUMN refill_target INTEGER,
    ADD COLUMN refill_ceiling_minor BIGINT,
    ADD COLUMN refill_since TIMESTAMP WITH TIME ZONE;

CREATE TABLE refill_plans (
    id UUID NOT NULL,
    pool_id UUID NOT NULL,
    needed INTEGER NOT NULL,
    by TIMESTAMP WITH TIME ZONE NOT NULL,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_refill_plans PRIMARY KEY (id),
    CONSTRAINT ck_refill_plans_needed CHECK (needed > 0),
    CONSTRAINT fk_refill_plans_pool_id_card_pools FOREIGN KEY (pool_id) REFERENCES card_pools (id)
);
CREATE INDEX ix_refill_plans_pool_id_by ON refill_plans (pool_id, by);
GRANT SELECT, INSERT ON refill_plans TO largesse_platform, largesse_system;
GRANT SELECT ON refill_plans TO largesse_readonly;
