"""The demo's main job, told over real HTTP: cards for a thousand recipients, coupons, the proof."""

import threading
from pathlib import Path

from rich.console import Console

from ops.client import Api
from ops.demo import ids
from ops.demo.card_files import card_file
from ops.demo.seed_people import ADMIN, ALICE
from ops.demo.stock import make_pool
from ops.demo.story_coupons import tell_of_coupons
from ops.demo.summary import (
    BUFFER_CARDS,
    CSV_CARDS,
    DENOMINATION_MINOR,
    differences,
    outcome_of,
    print_summary,
)
from ops.progress import watch_job
from ops.proof import print_proof, prove_at
from ops.stack_record import StackRecord

RECIPIENTS_FILE = Path(__file__).with_name("recipients.csv")
POOLS = (("csv", CSV_CARDS), ("buffer", BUFFER_CARDS))


def tell(record: StackRecord, *, console: Console, stop: threading.Event) -> list[str]:
    """Run the story on a stack that serves; returns what differs from its expected end."""
    nobody = Api(record.web_url, pause=stop.wait)
    admin = nobody.login(ADMIN.email, ADMIN.password)
    alice = nobody.login(ALICE.email, ALICE.password)
    wrong = _stock_pools(admin, console=console, stop=stop)
    accepted = alice.submit(
        RECIPIENTS_FILE,
        {
            "campaign_id": str(ids.CAMPAIGN),
            "brand_id": str(ids.NILE_SHOP),
            "denomination_minor": str(DENOMINATION_MINOR),
            "delivery_method": "none",
            "on_error": "skip",
        },
    )
    job = watch_job(alice, accepted["id"], "Recipients", console=console, stop=stop)
    failures = alice.failures(job["id"])
    print_summary(job, failures, console)
    wrong += tell_of_coupons(alice, console)
    proof = prove_at(record.database_url)
    print_proof(proof, console)
    wrong += differences(outcome_of(job, failures))
    wrong += [f"{f.id}: {violation}" for f in proof.findings for violation in f.violations]
    return wrong


def _stock_pools(admin: Api, *, console: Console, stop: threading.Event) -> list[str]:
    """Make both pools and fill them; a sentence for each import that was not whole."""
    imports = []
    for kind, count in POOLS:
        pool_id = make_pool(admin, kind, count)
        job = admin.import_cards(pool_id, card_file(count), on_error="abort")
        imports.append((kind, count, job["id"]))
    wrong = []
    for kind, count, job_id in imports:
        title = f"Cards for the {kind} pool"
        job = watch_job(admin, job_id, title, console=console, stop=stop)
        if job["counts"]["succeeded"] != count:
            wrong.append(f"{title}: expected {count}, got {job['counts']['succeeded']}")
    return wrong
