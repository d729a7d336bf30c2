"""The command `openapi`: the API's document, or a Postman collection made of it."""

import json

import click

from ops.client import Api
from ops.commands.working import web_url
from ops.postman import collection


@click.command()
@click.option("--postman", "as_postman", is_flag=True, help="Print a Postman collection instead.")
def openapi(*, as_postman: bool) -> None:
    """Print the OpenAPI document of the running stack, or of LARGESSE_URL; needs no token."""
    base_url = web_url()
    document = Api(base_url).send("GET", "/openapi.json")
    made = collection(document, base_url=base_url) if as_postman else document
    click.echo(json.dumps(made, indent=1, ensure_ascii=False))
