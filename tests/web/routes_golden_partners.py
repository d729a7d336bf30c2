"""Routes of partners and of their users with what each needs (SEC-09).

`partner_session` is no permission: such a route knows a partner's visitors and nobody else.
"""

PARTNERS = {
    "GET /api/v1/vendors": "partners_read",
    "POST /api/v1/vendors": "partners_manage",
    "GET /api/v1/vendors/<uuid:vendor_id>": "partners_read",
    "PATCH /api/v1/vendors/<uuid:vendor_id>": "partners_manage",
    "GET /api/v1/vendors/<uuid:vendor_id>/partner-secret": "partners_read",
    "POST /api/v1/vendors/<uuid:vendor_id>/partner-secret": "partners_manage",
    "POST /api/v1/vendors/<uuid:vendor_id>/check-token": "partners_manage",
    "GET /api/v1/vendors/<uuid:vendor_id>/claims": "partners_read",
    "GET /api/v1/vendors/<uuid:vendor_id>/claims.csv": "partners_read",
    "POST /api/v1/session-from-token": "public",
    "GET /api/v1/available-coupons": "partner_session",
    "GET /api/v1/claims": "partner_session",
    "POST /api/v1/claims": "partner_session",
}
