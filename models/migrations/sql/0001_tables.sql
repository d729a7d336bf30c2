-- The tables as of 0001. Frozen: later changes are migrations of their own.

CREATE TABLE accounts (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    tier TEXT NOT NULL,
    owner_id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    parent_id UUID,
    currency TEXT NOT NULL,
    balance BIGINT DEFAULT 0 NOT NULL,
    held BIGINT DEFAULT 0 NOT NULL,
    unlimited BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_accounts PRIMARY KEY (id),
    CONSTRAINT ck_accounts_kind CHECK (kind IN ('outside', 'credit', 'spent')),
    CONSTRAINT ck_accounts_tier CHECK (tier IN ('platform', 'agency', 'client', 'campaign')),
    CONSTRAINT uq_accounts_owner_id_kind_currency UNIQUE (owner_id, kind, currency),
    CONSTRAINT ck_accounts_held CHECK (held >= 0),
    CONSTRAINT ck_accounts_available CHECK (unlimited OR balance - held >= 0),
    CONSTRAINT fk_accounts_parent_id_accounts FOREIGN KEY(parent_id) REFERENCES accounts (id)
);
CREATE INDEX ix_accounts_agency_id ON accounts (agency_id);
CREATE INDEX ix_accounts_client_id ON accounts (client_id);

CREATE TABLE agencies (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID,
    name TEXT NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_agencies PRIMARY KEY (id),
    CONSTRAINT ck_agencies_own_agency CHECK (agency_id = id),
    CONSTRAINT uq_agencies_name UNIQUE (name)
);

CREATE TABLE api_keys (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    key_hash BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    created_by UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_api_keys PRIMARY KEY (id),
    CONSTRAINT uq_api_keys_prefix UNIQUE (prefix),
    CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash)
);
CREATE INDEX ix_api_keys_client_id ON api_keys (client_id);

CREATE TABLE audit_entries (
    id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    agency_id UUID,
    client_id UUID,
    actor_id UUID,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id UUID,
    detail JSONB NOT NULL,
    request_id TEXT,
    sequence BIGINT,
    chain_hash BYTEA,
    CONSTRAINT pk_audit_entries PRIMARY KEY (id)
);
CREATE INDEX ix_audit_entries_agency_id_at ON audit_entries (agency_id, at);
CREATE INDEX ix_audit_entries_client_id_at ON audit_entries (client_id, at);
CREATE INDEX ix_audit_entries_unsealed ON audit_entries (at) WHERE sequence IS NULL;

CREATE TABLE brands (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    currency TEXT NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_brands PRIMARY KEY (id),
    CONSTRAINT uq_brands_name_currency UNIQUE (name, currency)
);

CREATE TABLE idempotency_keys (
    id UUID NOT NULL,
    actor_id UUID NOT NULL,
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    status INTEGER NOT NULL,
    resource_kind TEXT NOT NULL,
    resource_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (id),
    CONSTRAINT uq_idempotency_keys_actor_id_key UNIQUE (actor_id, key)
);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);

CREATE TABLE jobs (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    agency_id UUID,
    client_id UUID,
    campaign_id UUID,
    state TEXT DEFAULT 'queued' NOT NULL,
    spec JSONB NOT NULL,
    total INTEGER DEFAULT 0 NOT NULL,
    currency TEXT,
    round INTEGER DEFAULT 1 NOT NULL,
    is_single BOOLEAN DEFAULT false NOT NULL,
    scheduled_for TIMESTAMP WITH TIME ZONE,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    paused_at TIMESTAMP WITH TIME ZONE,
    pause_reason TEXT,
    paused_by TEXT,
    error JSONB,
    upload_scope TEXT,
    upload_sha256 BYTEA,
    file_name TEXT,
    submitted_by UUID,
    request_id TEXT,
    retain_until DATE NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_jobs PRIMARY KEY (id),
    CONSTRAINT ck_jobs_state CHECK (state IN ('queued', 'running', 'paused', 'cancelling', 'succeeded', 'partially_succeeded', 'failed', 'cancelled'))
);
CREATE INDEX ix_jobs_agency_id_created_at ON jobs (agency_id, created_at);
CREATE INDEX ix_jobs_campaign_id ON jobs (campaign_id);
CREATE INDEX ix_jobs_client_id_created_at ON jobs (client_id, created_at);
CREATE UNIQUE INDEX uq_jobs_upload ON jobs (client_id, kind, upload_scope, upload_sha256) NULLS NOT DISTINCT WHERE upload_sha256 IS NOT NULL;

CREATE TABLE redemption_codes (
    campaign_id UUID NOT NULL,
    blind_index BYTEA NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    job_id UUID NOT NULL,
    person_key BYTEA,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_redemption_codes PRIMARY KEY (campaign_id, blind_index)
);
CREATE INDEX ix_redemption_codes_job_id ON redemption_codes (job_id);

CREATE TABLE schedule_runs (
    name TEXT NOT NULL,
    fire_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_schedule_runs PRIMARY KEY (name, fire_at)
);

CREATE TABLE tasks (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    args JSONB NOT NULL,
    queue TEXT NOT NULL,
    lane TEXT NOT NULL,
    job_id UUID,
    tenant_id UUID,
    priority SMALLINT DEFAULT 100 NOT NULL,
    run_after TIMESTAMP WITH TIME ZONE NOT NULL,
    rung_at TIMESTAMP WITH TIME ZONE,
    starts INTEGER DEFAULT 0 NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE,
    lease_token INTEGER DEFAULT 0 NOT NULL,
    state TEXT DEFAULT 'ready' NOT NULL,
    last_error TEXT,
    postponed_for TEXT,
    dedupe_key TEXT,
    request_id TEXT,
    v SMALLINT DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_tasks PRIMARY KEY (id),
    CONSTRAINT ck_tasks_state CHECK (state IN ('ready', 'dead'))
);
CREATE INDEX ix_tasks_due ON tasks (queue, lane, run_after) WHERE state = 'ready';
CREATE INDEX ix_tasks_job_id ON tasks (job_id) WHERE job_id IS NOT NULL;
CREATE UNIQUE INDEX uq_tasks_dedupe ON tasks (kind, dedupe_key) WHERE dedupe_key IS NOT NULL AND state = 'ready';

CREATE TABLE transfers (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    kind TEXT NOT NULL,
    client_ref TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    job_id UUID,
    reverses_id UUID,
    notes TEXT DEFAULT '' NOT NULL,
    actor_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_transfers PRIMARY KEY (id),
    CONSTRAINT ck_transfers_kind CHECK (kind IN ('top_up', 'allocation', 'recall', 'capture', 'refund', 'adjustment', 'reversal')),
    CONSTRAINT ck_transfers_amount CHECK (amount > 0),
    CONSTRAINT uq_transfers_client_ref UNIQUE (client_ref),
    CONSTRAINT uq_transfers_reverses_id UNIQUE (reverses_id),
    CONSTRAINT fk_transfers_reverses_id_transfers FOREIGN KEY(reverses_id) REFERENCES transfers (id)
);
CREATE INDEX ix_transfers_agency_id ON transfers (agency_id);
CREATE INDEX ix_transfers_client_id ON transfers (client_id);
CREATE INDEX ix_transfers_job_id ON transfers (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE users (
    id UUID NOT NULL,
    email TEXT NOT NULL,
    email_normalised TEXT NOT NULL,
    name TEXT DEFAULT '' NOT NULL,
    password_hash TEXT,
    role TEXT NOT NULL,
    agency_id UUID,
    client_id UUID,
    disabled_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT ck_users_role CHECK (role IN ('platform_admin', 'platform_support', 'agency_admin', 'agency_viewer', 'client_admin', 'campaign_manager', 'client_viewer', 'storefront_key', 'end_user')),
    CONSTRAINT uq_users_email_normalised UNIQUE (email_normalised)
);

CREATE TABLE vendor_accounts (
    vendor TEXT NOT NULL,
    rate_per_minute INTEGER DEFAULT 6000 NOT NULL,
    burst INTEGER DEFAULT 50 NOT NULL,
    micro_tokens BIGINT DEFAULT 50000000 NOT NULL,
    filled_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    breaker_state TEXT DEFAULT 'closed' NOT NULL,
    breaker_failures_in_row INTEGER DEFAULT 0 NOT NULL,
    breaker_window BIGINT DEFAULT 0 NOT NULL,
    breaker_window_calls INTEGER DEFAULT 0 NOT NULL,
    breaker_openings INTEGER DEFAULT 0 NOT NULL,
    breaker_blocked_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_vendor_accounts PRIMARY KEY (vendor),
    CONSTRAINT ck_vendor_accounts_rate CHECK (rate_per_minute > 0 AND burst > 0)
);

CREATE TABLE brand_routes (
    id UUID NOT NULL,
    brand_id UUID NOT NULL,
    vendor TEXT NOT NULL,
    product TEXT NOT NULL,
    priority INTEGER DEFAULT 100 NOT NULL,
    min_minor BIGINT,
    max_minor BIGINT,
    CONSTRAINT pk_brand_routes PRIMARY KEY (id),
    CONSTRAINT uq_brand_routes_brand_id_vendor_product UNIQUE (brand_id, vendor, product),
    CONSTRAINT fk_brand_routes_brand_id_brands FOREIGN KEY(brand_id) REFERENCES brands (id)
);
CREATE INDEX ix_brand_routes_brand_id_priority ON brand_routes (brand_id, priority);

CREATE TABLE card_pools (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    brand_id UUID NOT NULL,
    denomination_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    kind TEXT NOT NULL,
    cost_per_card_minor BIGINT,
    low_watermark INTEGER DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_card_pools PRIMARY KEY (id),
    CONSTRAINT ck_card_pools_kind CHECK (kind IN ('csv', 'buffer')),
    CONSTRAINT ck_card_pools_denomination CHECK (denomination_minor > 0),
    CONSTRAINT fk_card_pools_brand_id_brands FOREIGN KEY(brand_id) REFERENCES brands (id)
);
CREATE UNIQUE INDEX uq_card_pools_identity ON card_pools (brand_id, denomination_minor, currency, kind, client_id) NULLS NOT DISTINCT;

CREATE TABLE chunks (
    job_id UUID NOT NULL,
    number INTEGER NOT NULL,
    agency_id UUID,
    client_id UUID,
    state TEXT DEFAULT 'waiting' NOT NULL,
    holds_slot BOOLEAN DEFAULT true NOT NULL,
    pending INTEGER DEFAULT 0 NOT NULL,
    running INTEGER DEFAULT 0 NOT NULL,
    retrying INTEGER DEFAULT 0 NOT NULL,
    succeeded INTEGER DEFAULT 0 NOT NULL,
    failed INTEGER DEFAULT 0 NOT NULL,
    skipped INTEGER DEFAULT 0 NOT NULL,
    needs_review INTEGER DEFAULT 0 NOT NULL,
    cancelled INTEGER DEFAULT 0 NOT NULL,
    from_csv INTEGER DEFAULT 0 NOT NULL,
    from_buffer INTEGER DEFAULT 0 NOT NULL,
    from_api INTEGER DEFAULT 0 NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_chunks PRIMARY KEY (job_id, number),
    CONSTRAINT ck_chunks_state CHECK (state IN ('waiting', 'released', 'open', 'closed')),
    CONSTRAINT fk_chunks_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);

CREATE TABLE clients (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT DEFAULT 'UTC' NOT NULL,
    suspended_at TIMESTAMP WITH TIME ZONE,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_clients PRIMARY KEY (id),
    CONSTRAINT uq_clients_agency_id_name UNIQUE (agency_id, name),
    CONSTRAINT uq_clients_agency_id_id UNIQUE (agency_id, id),
    CONSTRAINT ck_clients_own_client CHECK (client_id = id),
    CONSTRAINT fk_clients_agency_id_agencies FOREIGN KEY(agency_id) REFERENCES agencies (id)
);
CREATE INDEX ix_clients_client_id ON clients (client_id);

CREATE TABLE holds (
    id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    account_id UUID NOT NULL,
    job_id UUID NOT NULL,
    round INTEGER NOT NULL,
    currency TEXT NOT NULL,
    amount BIGINT NOT NULL,
    captured BIGINT DEFAULT 0 NOT NULL,
    voided BIGINT DEFAULT 0 NOT NULL,
    state TEXT DEFAULT 'open' NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_holds PRIMARY KEY (id),
    CONSTRAINT ck_holds_state CHECK (state IN ('open', 'closed')),
    CONSTRAINT uq_holds_job_id_round UNIQUE (job_id, round),
    CONSTRAINT ck_holds_parts CHECK (amount > 0 AND captured >= 0 AND voided >= 0 AND captured + voided <= amount),
    CONSTRAINT ck_holds_closed_is_spent CHECK ((state = 'closed') = (captured + voided = amount)),
    CONSTRAINT fk_holds_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX ix_holds_account_id ON holds (account_id) WHERE state = 'open';
CREATE INDEX ix_holds_agency_id ON holds (agency_id);
CREATE INDEX ix_holds_client_id ON holds (client_id);

CREATE TABLE job_inputs (
    job_id UUID NOT NULL,
    part INTEGER NOT NULL,
    agency_id UUID,
    client_id UUID,
    id UUID NOT NULL,
    sealed BOOLEAN NOT NULL,
    content BYTEA NOT NULL,
    CONSTRAINT pk_job_inputs PRIMARY KEY (job_id, part),
    CONSTRAINT fk_job_inputs_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);

CREATE TABLE postings (
    id BIGSERIAL NOT NULL,
    transfer_id UUID NOT NULL,
    account_id UUID NOT NULL,
    agency_id UUID,
    client_id UUID,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    balance_after BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_postings PRIMARY KEY (id),
    CONSTRAINT ck_postings_amount CHECK (amount <> 0),
    CONSTRAINT fk_postings_transfer_id_transfers FOREIGN KEY(transfer_id) REFERENCES transfers (id),
    CONSTRAINT fk_postings_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id)
);
CREATE INDEX ix_postings_account_id_id ON postings (account_id, id);
CREATE INDEX ix_postings_agency_id ON postings (agency_id);
CREATE INDEX ix_postings_client_id ON postings (client_id);
CREATE INDEX ix_postings_transfer_id ON postings (transfer_id);

CREATE TABLE sign_ins (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    kind TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sign_ins PRIMARY KEY (id),
    CONSTRAINT fk_sign_ins_user_id_users FOREIGN KEY(user_id) REFERENCES users (id),
    CONSTRAINT uq_sign_ins_token_hash UNIQUE (token_hash)
);
CREATE INDEX ix_sign_ins_user_id ON sign_ins (user_id);

CREATE TABLE campaigns (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT DEFAULT 'UTC' NOT NULL,
    state TEXT DEFAULT 'active' NOT NULL,
    pause_reason TEXT,
    budget_mode TEXT DEFAULT 'shared' NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_campaigns PRIMARY KEY (id),
    CONSTRAINT fk_campaigns_agency_id_client_id_clients FOREIGN KEY(agency_id, client_id) REFERENCES clients (agency_id, id),
    CONSTRAINT uq_campaigns_client_id_name UNIQUE (client_id, name),
    CONSTRAINT uq_campaigns_client_id_id UNIQUE (client_id, id),
    CONSTRAINT ck_campaigns_state CHECK (state IN ('active', 'paused', 'closed')),
    CONSTRAINT ck_campaigns_budget_mode CHECK (budget_mode IN ('shared', 'isolated'))
);
CREATE INDEX ix_campaigns_agency_id ON campaigns (agency_id);

CREATE TABLE cards (
    id UUID NOT NULL,
    pool_id UUID,
    client_id UUID,
    brand_id UUID NOT NULL,
    denomination_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT DEFAULT 'available' NOT NULL,
    sealed_number BYTEA NOT NULL,
    sealed_pin BYTEA,
    sealed_url BYTEA,
    blind_index BYTEA NOT NULL,
    last4 TEXT NOT NULL,
    expires_on DATE DEFAULT '2099-12-31' NOT NULL,
    cost_minor BIGINT,
    cost_currency TEXT,
    import_job_id UUID,
    provider_order_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_cards PRIMARY KEY (id),
    CONSTRAINT ck_cards_state CHECK (state IN ('available', 'issued', 'quarantined', 'void')),
    CONSTRAINT ck_cards_source CHECK (source IN ('csv', 'buffer', 'api')),
    CONSTRAINT uq_cards_brand_id_blind_index UNIQUE (brand_id, blind_index),
    CONSTRAINT fk_cards_pool_id_card_pools FOREIGN KEY(pool_id) REFERENCES card_pools (id),
    CONSTRAINT uq_cards_provider_order_id UNIQUE (provider_order_id)
);
CREATE INDEX ix_cards_available ON cards (brand_id, denomination_minor, currency, source, expires_on, id) WHERE state = 'available';
CREATE INDEX ix_cards_import_job_id ON cards (import_job_id);
CREATE INDEX ix_cards_pool_state ON cards (pool_id, state);

CREATE TABLE client_brands (
    client_id UUID NOT NULL,
    brand_id UUID NOT NULL,
    agency_id UUID NOT NULL,
    CONSTRAINT pk_client_brands PRIMARY KEY (client_id, brand_id),
    CONSTRAINT fk_client_brands_agency_id_client_id_clients FOREIGN KEY(agency_id, client_id) REFERENCES clients (agency_id, id),
    CONSTRAINT fk_client_brands_brand_id_brands FOREIGN KEY(brand_id) REFERENCES brands (id)
);
CREATE INDEX ix_client_brands_agency_id ON client_brands (agency_id);

CREATE TABLE items (
    job_id UUID NOT NULL,
    position INTEGER NOT NULL,
    chunk_number INTEGER NOT NULL,
    agency_id UUID,
    client_id UUID,
    state TEXT DEFAULT 'pending' NOT NULL,
    code TEXT,
    detail TEXT,
    field TEXT,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    reference TEXT,
    email TEXT,
    name TEXT,
    phone TEXT,
    person_key BYTEA,
    brand_id UUID,
    denomination_minor BIGINT,
    charge_minor BIGINT DEFAULT 0 NOT NULL,
    source TEXT,
    result_id UUID,
    round SMALLINT DEFAULT 1 NOT NULL,
    CONSTRAINT pk_items PRIMARY KEY (job_id, position),
    CONSTRAINT fk_items_job_id_chunk_number_chunks FOREIGN KEY(job_id, chunk_number) REFERENCES chunks (job_id, number) ON DELETE CASCADE,
    CONSTRAINT ck_items_state CHECK (state IN ('pending', 'running', 'retrying', 'succeeded', 'failed', 'skipped', 'needs_review', 'cancelled')),
    CONSTRAINT fk_items_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE INDEX ix_items_job_id_chunk_number ON items (job_id, chunk_number);
CREATE INDEX ix_items_unsuccessful ON items (job_id, state, position) WHERE state <> 'succeeded';

CREATE TABLE provider_orders (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    job_id UUID NOT NULL,
    position INTEGER NOT NULL,
    brand_id UUID NOT NULL,
    vendor TEXT NOT NULL,
    product TEXT NOT NULL,
    face_value_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT DEFAULT 'created' NOT NULL,
    vendor_order_id TEXT,
    code TEXT,
    vendor_code TEXT,
    round INTEGER DEFAULT 1 NOT NULL,
    sends INTEGER DEFAULT 0 NOT NULL,
    lookups INTEGER DEFAULT 0 NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    settled_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_provider_orders PRIMARY KEY (id),
    CONSTRAINT fk_provider_orders_job_id_position_items FOREIGN KEY(job_id, position) REFERENCES items (job_id, position),
    CONSTRAINT ck_provider_orders_state CHECK (state IN ('created', 'cancelled', 'sent', 'accepted', 'succeeded', 'refused', 'unknown'))
);
CREATE INDEX ix_provider_orders_agency_id ON provider_orders (agency_id);
CREATE INDEX ix_provider_orders_client_id_state ON provider_orders (client_id, state);
CREATE INDEX ix_provider_orders_open ON provider_orders (job_id, state) WHERE state IN ('created','sent','accepted','unknown');
CREATE UNIQUE INDEX uq_provider_orders_live ON provider_orders (job_id, position) WHERE state IN ('created','sent','accepted','unknown','succeeded');

CREATE TABLE provisions (
    id UUID NOT NULL,
    agency_id UUID NOT NULL,
    client_id UUID NOT NULL,
    campaign_id UUID NOT NULL,
    job_id UUID NOT NULL,
    position INTEGER NOT NULL,
    card_id UUID NOT NULL,
    brand_id UUID NOT NULL,
    source TEXT NOT NULL,
    currency TEXT NOT NULL,
    face_value_minor BIGINT NOT NULL,
    charge_minor BIGINT NOT NULL,
    cost_minor BIGINT,
    cost_currency TEXT,
    transfer_id UUID NOT NULL,
    person_key BYTEA,
    last4 TEXT NOT NULL,
    delivery_method TEXT NOT NULL,
    reveal_version INTEGER DEFAULT 1 NOT NULL,
    revealed_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_provisions PRIMARY KEY (id),
    CONSTRAINT fk_provisions_job_id_position_items FOREIGN KEY(job_id, position) REFERENCES items (job_id, position),
    CONSTRAINT uq_provisions_job_id_position UNIQUE (job_id, position),
    CONSTRAINT uq_provisions_card_id UNIQUE (card_id),
    CONSTRAINT ck_provisions_source CHECK (source IN ('csv', 'buffer', 'api')),
    CONSTRAINT fk_provisions_card_id_cards FOREIGN KEY(card_id) REFERENCES cards (id)
);
CREATE INDEX ix_provisions_agency_id ON provisions (agency_id);
CREATE INDEX ix_provisions_campaign_id_person_key ON provisions (campaign_id, person_key);
CREATE INDEX ix_provisions_client_id ON provisions (client_id);
CREATE INDEX ix_provisions_transfer_id ON provisions (transfer_id);

