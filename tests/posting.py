"""Houses that send their mail to the sandbox, and the links that people find in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pipelines.settings import Environment
from pipelines.wiring import House
from tests.conftest import Database, Ground, a_house, vendor_environment
from tests.driving import drain
from tests.vendor import Sandbox

LINK = re.compile(r"http://127\.0\.0\.1:8000(/console/(?:reset|register|invitation)/([\w-]+))")


@contextmanager
def a_mail_house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    """A house with its mail server, which waits as long as a real one."""
    with a_house(ground, database, **vendor_environment(sandbox)) as built:
        yield built


def in_production(house: House) -> House:
    """The same house, with the manners it has in production."""
    return replace(house, settings=replace(house.settings, environment=Environment.PRODUCTION))


def subjects(house: House, sandbox: Sandbox, to: str) -> list[str]:
    """What somebody was written, the newest first."""
    drain(house)
    return [mail["subject"] for mail in sandbox.mails(to)]


def link_to(house: House, sandbox: Sandbox, to: str) -> tuple[str, str]:
    """Path and token of the link in the newest mail to an address."""
    drain(house)
    for mail in sandbox.mails(to):
        if (found := LINK.search(mail["text"])) is not None:
            return found[1], found[2]
    raise AssertionError("no mail with a link")
