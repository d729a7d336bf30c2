"""Mail by a real worker process: it survives its worker, and is not sent twice once it is told."""

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.wiring import House
from tests.canary import MARK
from tests.driving import rows
from tests.vendor import Sandbox
from tests.workers.crew import Crew

ANN = "ann@example.com"


def posted(house: House) -> None:
    letter = Letter(Template.PASSWORD_RESET, address=ANN, values={"token": f"{MARK}-token"})
    with scoped_transaction(house.sessions, SYSTEM) as session:
        post(session, letter, keyring=house.settings.keyring, now=clock.now(session))


def states(house: House) -> list[str]:
    return [row.state for row in rows(house, "SELECT state FROM outgoing_mails")]


def test_a_mail_is_sent_by_the_deliveries_process(
    crew: Crew, vendor_house: House, sandbox: Sandbox
):
    crew.start("relay")
    crew.start("deliveries")
    posted(vendor_house)

    crew.until(lambda: states(vendor_house) == ["sent"])

    assert len(sandbox.mails(ANN)) == 1
    assert rows(vendor_house, "SELECT 1 FROM tasks WHERE kind = 'send_mail'") == []


def test_a_mail_in_hand_when_its_worker_is_killed_is_sent_by_the_next(
    crew: Crew, vendor_house: House, sandbox: Sandbox
):
    """At least once: the server may have taken it; the Message-ID tells."""
    sandbox.arm_mail(slow={"next": 1, "seconds": 600.0})
    crew.start("relay")
    first = crew.start("deliveries")
    posted(vendor_house)
    crew.until(lambda: sandbox.control("GET", "/mail/faults")["fired"] == {"slow": 1})

    first.kill()
    first.wait(timeout=10)
    rows(vendor_house, "UPDATE tasks SET lease_until = now() RETURNING 1")
    crew.start("deliveries")
    crew.until(lambda: states(vendor_house) == ["sent"])

    assert len(sandbox.mails(ANN)) == 1
