"""Every route says who may call it; every public one says so on purpose."""

from pipelines.wiring import House
from web.app import create_app


def test_every_route_declares_a_permission(house: House) -> None:
    app = create_app(house)

    silent = sorted(
        rule.rule
        for rule in app.url_map.iter_rules()
        if getattr(app.view_functions[rule.endpoint], "permission", None) is None
    )

    assert silent == []
