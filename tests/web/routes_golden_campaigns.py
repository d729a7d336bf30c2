"""Pages of campaigns with the permission each needs, written by hand; part of `routes_golden`."""

CAMPAIGN_PAGES = {
    "GET /console/campaigns": "campaigns_read",
    "GET /console/campaigns/<uuid:campaign_id>": "campaigns_read",
    "GET /console/campaigns/<uuid:campaign_id>/budget": "campaigns_budget",
    "POST /console/campaigns/<uuid:campaign_id>/budget/own": "campaigns_budget",
    "POST /console/campaigns/<uuid:campaign_id>/budget/shared": "campaigns_budget",
    "GET /console/campaigns/<uuid:campaign_id>/codes": "campaigns_read",
    "POST /console/campaigns/<uuid:campaign_id>/codes": "campaigns_manage",
    "GET /console/campaigns/<uuid:campaign_id>/codes/withdraw": "campaigns_manage",
    "POST /console/campaigns/<uuid:campaign_id>/codes/withdraw": "campaigns_manage",
    "POST /console/campaigns/<uuid:campaign_id>/codes/withdraw-listed": "campaigns_manage",
    "POST /console/campaigns/<uuid:campaign_id>/pause": "campaigns_manage",
    "GET /console/campaigns/<uuid:campaign_id>/profit": "profit_read",
    "GET /console/campaigns/<uuid:campaign_id>/profit.csv": "profit_read",
    "POST /console/campaigns/<uuid:campaign_id>/resume": "campaigns_manage",
    "GET /console/campaigns/<uuid:campaign_id>/settings": "campaigns_manage",
    "POST /console/campaigns/<uuid:campaign_id>/settings": "campaigns_manage",
    "GET /console/campaigns/new": "campaigns_manage",
    "POST /console/campaigns/new": "campaigns_manage",
}
