"""The calls about webhook endpoints; each answers one request."""

from flask import Blueprint, Response, request

from ops.sandbox import stripe_endpoints as endpoints
from ops.sandbox.stripe_calls import Calls
from ops.sandbox.stripe_forms import read_form
from ops.sandbox.stripe_objects import Facts, Moment, shown


def endpoint_pages(pages: Blueprint, calls: Calls) -> None:
    @pages.post("/v1/webhook_endpoints")
    def create_endpoint() -> Response:
        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), endpoints.ENDPOINT)
            return shown(endpoints.create(moment, asked))

        return calls.posted("endpoint", make)

    @pages.post("/v1/webhook_endpoints/<identity>")
    def change_endpoint(identity: str) -> Response:
        def make(moment: Moment) -> Facts:
            asked = read_form(request.form.items(multi=True), endpoints.CHANGE)
            endpoint = endpoints.endpoint_of(moment, identity)
            return shown(endpoints.change(moment, endpoint, asked))

        return calls.posted("endpoint", make)

    @pages.delete("/v1/webhook_endpoints/<identity>")
    def remove_endpoint(identity: str) -> Response:
        def make(moment: Moment) -> Facts:
            endpoints.endpoint_of(moment, identity)
            moment.objects.remove(identity)
            return {"id": identity, "object": "webhook_endpoint", "deleted": True}

        return calls.listed("endpoint", make)
