"""What each role may do, as data: the very table that the guards read."""

from typing import Any

from flask import Response, jsonify
from marshmallow import Schema, fields

from models.people import Role
from pipelines.access.delegation import may_manage
from pipelines.access.permissions import GRANTS, KEY_SCOPES, Permission
from web.api.routes import Routes, answers
from web.guards import permitted

routes = Routes("roles", "Roles and their permissions.")


class RoleShown(Schema):
    role = fields.String()
    permissions = fields.List(fields.String())
    manages = fields.List(
        fields.String(), metadata={"description": "Roles of people whom it makes and changes."}
    )


class ScopeShown(Schema):
    scope = fields.String()
    permission = fields.String()


class RolePage(Schema):
    data = fields.List(fields.Nested(RoleShown))
    key_scopes = fields.List(
        fields.Nested(ScopeShown), metadata={"description": "What API keys may be made for."}
    )


@routes.get("/roles")
@permitted(Permission.OWN_ACCOUNT)
@answers(200, RolePage)
def list_roles() -> Response:
    """List every role with its permissions, from the most to the least."""
    scopes = [{"scope": scope, "permission": needed} for needed, scope in KEY_SCOPES.items()]
    return jsonify({"data": [_shown(role) for role in Role], "key_scopes": scopes})


def _shown(role: Role) -> dict[str, Any]:
    manages = [other.value for other in Role if may_manage(role, other)]
    return {"role": role.value, "permissions": sorted(GRANTS[role]), "manages": manages}
