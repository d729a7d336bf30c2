"""Routes of discount codes and reservations with the permission each needs (SEC-09)."""

DISCOUNTS = {
    "GET /api/v1/discounts": "discounts_read",
    "POST /api/v1/discounts": "discounts_manage",
    "GET /api/v1/discounts/<uuid:discount_id>": "discounts_read",
    "PATCH /api/v1/discounts/<uuid:discount_id>": "discounts_manage",
    "DELETE /api/v1/discounts/<uuid:discount_id>": "discounts_manage",
    "POST /api/v1/discounts/<uuid:discount_id>/pause": "discounts_manage",
    "POST /api/v1/discounts/<uuid:discount_id>/resume": "discounts_manage",
    "POST /api/v1/discounts/generate": "discounts_manage",
    "POST /api/v1/discounts/import": "discounts_manage",
    "GET /api/v1/discounts/batches/<uuid:discount_batch_id>": "discounts_read",
    "GET /api/v1/discounts/batches/<uuid:discount_batch_id>/codes.csv": "discounts_read",
    "DELETE /api/v1/discounts/batches/<uuid:discount_batch_id>": "discounts_manage",
    "POST /api/v1/discounts/batches/<uuid:discount_batch_id>/pause": "discounts_manage",
    "POST /api/v1/discounts/batches/<uuid:discount_batch_id>/resume": "discounts_manage",
    "GET /api/v1/discounts/validate": "discounts_apply",
    "GET /api/v1/public/discounts/validate": "public",
    "POST /api/v1/discounts/apply": "discounts_apply",
    "GET /api/v1/reservations/<uuid:reservation_id>": "discounts_apply",
    "DELETE /api/v1/reservations/<uuid:reservation_id>": "discounts_apply",
    "POST /api/v1/cron/release-expired": "public",
}
