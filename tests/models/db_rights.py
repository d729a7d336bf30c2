"""What each role may do with each table and column: a new table is classified here (SEC-13)."""

from ops.bootstrap import SCOPES, SYSTEM

#: In this order: platform, agency, client, system. A dash is no right at all.
AT_WORK = (*SCOPES, SYSTEM)
RIGHTS = {
    # Written once: nobody changes or removes a row, whatever else they may.
    "audit_entries": "S S S S",
    "audit_heads": "- - - SIU",
    "audit_witnesses": "- - - SI",
    "postings": "SI SI SI SI",
    "transfers": "SI SI SI SI",
    # Tenants' own rows, behind their policies; only what has no history is ever deleted.
    "accounts": "SIU SIU SIU SIU",
    "receivables": "SIU S S SIU",
    "alerts": "S S S SIUD",
    "alert_subscriptions": "SIU SIU SIU SIU",
    "approvals": "SIU SIU SIU SIU",
    "agencies": "SIU SIU SIU SIU",
    "books": "SIU SIU SIU SIU",
    "coupons": "SIU SIU SIU SIU",
    "coupon_counts": "SIU SIU SIU SIU",
    "discount_batches": "SIU SIU SIU SIU",
    "discount_codes": "SIU SIU SIU SIU",
    "discount_rules": "SI SI SI SI",
    "discount_usages": "SIU SIU SIU SIU",
    "discount_customers": "SIU SIU SIU SIU",
    "discount_customer_uses": "SIU SIU SIU SIU",
    "code_index": "SI SI SI SI",
    "coupon_codes": "SI SI SI SIU",
    "coupon_events": "SI SI SI SI",
    "draw_chunks": "SI SI SI SI",
    "draw_members": "SI SI SI SI",
    "draws": "SIU SIU SIU SIU",
    "open_redemptions": "SID SID SID SID",
    "book_deltas": "SI SI SI SID",
    "book_sums": "S S S SIU",
    "coupon_usage_deltas": "SI SI SI SID",
    "coupon_usage_daily": "S S S SIU",
    "campaigns": "SIU SIU SIU SIU",
    "chunks": "SIU SIU SIU SIUD",
    "client_brands": "SIUD SIUD SIUD SIUD",
    "clients": "SIU SIU SIU SIU",
    "client_users": "SIU SIU SIU SIU",
    "deliveries": "SIU SIU SIU SIU",
    "erasures": "SI SI SI SIU",
    "holds": "SIU SIU SIU SIU",
    "issued_daily": "S S S SIU",
    "issued_deltas": "SI SI SI SID",
    "items": "SIU SIU SIU SIUD",
    "job_inputs": "SIUD SIUD SIUD SIUD",
    "jobs": "SIU SIU SIU SIUD",
    "loaded_codes": "SIU SIU SIU S",
    "provider_orders": "SIU SIU SIU SIU",
    "provisions": "SIU SIU SIU SIU",
    "redemption_codes": "SIUD SIUD SIUD SIUD",
    "reward_counts": "SIUD SIUD SIUD SIUD",
    "upload_drafts": "SIU SIU SIU SIUD",
    "user_pool_members": "SIUD SIUD SIUD SIUD",
    "user_pools": "SIU SIU SIU SIU",
    "webhook_deliveries": "SIU SIU SIU SIUD",
    "webhook_endpoints": "SIU SIU SIU SIU",
    # Inventory: tenants look, and take through functions.
    "balance_sheets": "SIU - - SIUD",
    "brand_routes": "SIUD S S SIU",
    "brands": "SIU S S SIU",
    "prices": "SIU S S SIU",
    "card_batches": "SI SI SI SI",
    "card_pools": "SIU SIU SIU SIU",
    "cards": "SIU S S SIU",
    # People and credentials: the system, and by columns who manages them.
    "api_keys": "- - - SIU",
    "authenticators": "D D D SIUD",
    "recovery_codes": "D D D SIUD",
    "sign_in_failures": "D D D SIUD",
    "sign_ins": "- - - SIUD",
    "users": "- - - SIU",
    # Mail and its links: any scope writes a mail down, the system alone does the rest.
    "invitations": "- - - SIUD",
    "outgoing_mails": "I I I SIUD",
    "password_resets": "- - - SIUD",
    "registrations": "- - - SIUD",
    # The engine's own.
    "alert_signals": "I I I SID",
    "alert_notices": "- - - SIUD",
    "check_runs": "S S S SIU",
    "idempotency_keys": "SI SI SI SIUD",
    "key_versions": "- - - SIU",
    "processes": "S S S SIUD",
    "queues": "S S S SIU",
    "resealings": "- - - SIU",
    "schedule_runs": "- - - SID",
    "sms_opt_outs": "- - S SID",
    "tasks": "SIUD SIUD SIUD SIUD",
    "refill_plans": "SI - - SI",
    "vendor_accounts": "SU - SU SIU",
    "vendor_balances": "S - - SID",
    "vendor_call_counts": "SIU - SIU SIUD",
    "vendor_calls": "SIUD - SIUD SIUD",
    "vendor_products": "S S S SIU",
    "vendor_statement_rows": "SID - - S",
    "vendor_statements": "SIU - - S",
    "vendor_tokens": "- - - SIU",
    "webhook_facts": "I I I SID",
    "webhook_sequences": "- - - SIUD",
}
#: Rights on single columns, beside those on the table.
_ENTRY = {"id", "agency_id", "client_id", "actor_id", "actor_role", "on_behalf_of", "action"}
_ENTRY |= {"object_kind", "object_id", "detail", "request_id", "job_id", "address"}
_PERSON = {"id", "email", "email_normalised", "name", "role", "agency_id", "client_id"}
_KEY = {"id", "agency_id", "client_id", "name", "prefix", "scopes", "allowed_cidrs", "replaces"}
_KEY |= {"expires_at", "created_by"}
_SIGN_IN = {"id", "user_id", "kind", "impersonator_id", "expires_at", "last_used_at", "revoked_at"}
_INVITATION = {"id", "agency_id", "client_id", "role", "mail_id", "invited_by", "expires_at"}
_INVITATION |= {"sealed_guest", "ended_at", "user_id", "created_at"}
_MANAGED = {
    ("users", "SELECT"): _PERSON | {"disabled_at", "created_at"},
    ("users", "INSERT"): _PERSON | {"password_hash"},
    ("users", "UPDATE"): {"name", "role", "disabled_at"},
    ("api_keys", "SELECT"): _KEY | {"last_used_at", "revoked_at", "created_at"},
    ("api_keys", "INSERT"): _KEY | {"key_hash"},
    ("api_keys", "UPDATE"): {"expires_at", "revoked_at"},
    ("sign_ins", "SELECT"): _SIGN_IN | {"created_at"},
    ("sign_ins", "UPDATE"): {"revoked_at"},
    ("sign_in_failures", "SELECT"): {"account", "rests_until"},
    ("invitations", "SELECT"): _INVITATION,
    ("invitations", "UPDATE"): {"ended_at", "sealed_guest"},
    ("alerts", "UPDATE"): {"state", "acknowledged_by", "acknowledged_at", "note", "snoozed_until"}
    | {"resolved_by", "resolved_at"},
    ("authenticators", "SELECT"): {"user_id", "confirmed_at"},
    ("recovery_codes", "SELECT"): {"user_id"},
}
COLUMNS = {
    **{(role, "audit_entries", "INSERT"): _ENTRY for role in AT_WORK},
    (SYSTEM, "audit_entries", "UPDATE"): {"sequence", "chain_hash", "address"},
    ("largesse_platform", "refill_plans", "UPDATE"): {"cancelled_at"},
    (SYSTEM, "refill_plans", "UPDATE"): {"cancelled_at", "met_at", "missed_at", "dropped_at"},
    (SYSTEM, "card_batches", "UPDATE"): {"quarantined_at", "keeps_file"},
    **{(role, *place): names for role in SCOPES for place, names in _MANAGED.items()},
}
