"""Pages of partners with the permission each needs (SEC-09)."""

PARTNER_PAGES = {
    "GET /console/partners": "partners_read",
    "GET /console/partners/new": "partners_manage",
    "POST /console/partners/new": "partners_manage",
    "GET /console/partners/<uuid:partner_id>": "partners_read",
    "GET /console/partners/<uuid:partner_id>/edit": "partners_manage",
    "POST /console/partners/<uuid:partner_id>/edit": "partners_manage",
    "POST /console/partners/<uuid:partner_id>/enable": "partners_manage",
    "GET /console/partners/<uuid:partner_id>/disable": "partners_manage",
    "POST /console/partners/<uuid:partner_id>/disable": "partners_manage",
    "GET /console/partners/<uuid:partner_id>/secret": "partners_manage",
    "POST /console/partners/<uuid:partner_id>/secret": "partners_manage",
    "GET /console/partners/<uuid:partner_id>/check-token": "partners_manage",
    "POST /console/partners/<uuid:partner_id>/check-token": "partners_manage",
    "GET /console/partners/<uuid:partner_id>/embed": "partners_read",
    "GET /console/partners/<uuid:partner_id>/claims": "partners_read",
    "GET /console/partners/<uuid:partner_id>/claims.csv": "partners_read",
}
