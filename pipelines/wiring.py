"""Put the house together: handlers of task kinds, kinds of jobs, providers, from the settings."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from models.database import Sessions, create_database_engine, sessions_of
from pipelines.access import rate_policies
from pipelines.access.authenticate import forget_failures
from pipelines.access.forget_sign_ins import forget_sign_ins
from pipelines.access.links import forget_links
from pipelines.audit.forget import forget_addresses
from pipelines.audit.seal import seal
from pipelines.audit.witness import tell, witness_heads, witness_key
from pipelines.erasure.erase import erase_person
from pipelines.jobs.kinds import CARD_IMPORT, JobKind, PlanTools
from pipelines.jobs.plan_job import give_up_plan, plan_job
from pipelines.jobs.retention import forget_drafts, forget_people
from pipelines.jobs.settle import settle_task
from pipelines.jobs.work_chunk import give_up_chunk, work_chunk
from pipelines.keys.reseal import reseal
from pipelines.limits import Limits
from pipelines.mail.send import ATTEMPTS_MAX, PostOffice, forget_mails, give_up_mail, send_mail
from pipelines.pools.import_cards import give_up_import, import_cards
from pipelines.providers.ports import Provider
from pipelines.providers.reloadly import ReloadlyProvider
from pipelines.providers.transport import VendorTransport
from pipelines.provisioning import job_kind, undo_kind
from pipelines.provisioning.give_up import give_up_order
from pipelines.provisioning.purchase import place_order
from pipelines.provisioning.recover import recover_order
from pipelines.queue import keys, kinds
from pipelines.queue.dead_letters import forget_buried
from pipelines.queue.defer import defer
from pipelines.queue.handlers import Handler, Handlers
from pipelines.queue.work import TaskInHand
from pipelines.settings import Environment, Settings, SettingsBroken


@dataclass(frozen=True, slots=True)
class House:
    """What a door needs: settings, limits, sessions, and the kinds of jobs."""

    settings: Settings
    limits: Limits
    sessions: Sessions
    job_kinds: Mapping[str, JobKind]
    rates: rate_policies.Table

    @property
    def person_secret(self) -> bytes:
        """The key under which recipients are recognised without their address."""
        return self.settings.keyring.lasting_key("people")


def build_house(settings: Settings) -> House:
    """Open the database pool for this process and gather what its doors use."""
    engine = create_database_engine(
        settings.database_url,
        pool_size=settings.pool_size,
        pooled_by_proxy=settings.pooled_by_proxy,
    )
    return House(
        settings=settings,
        limits=settings.limits,
        sessions=sessions_of(engine),
        job_kinds=JOB_KINDS,
        rates=_rates(settings),
    )


def _rates(settings: Settings) -> rate_policies.Table:
    is_production = settings.environment is Environment.PRODUCTION
    try:
        return rate_policies.table(settings.edge.rates, is_production=is_production)
    except KeyError as error:
        known = ", ".join(sorted(rate_policies.NAMES))
        raise SettingsBroken(
            f"LARGESSE_RATE_LIMITS names {error.args[0]}, which is no limit; there are {known}."
        ) from None


def _nothing_to_settle(_session: Session, _job: object, _now: datetime) -> None:
    """An import ends in its own transaction."""


JOB_KINDS: Mapping[str, JobKind] = {
    job_kind.KIND.name: job_kind.KIND,
    undo_kind.KIND.name: undo_kind.KIND,
    CARD_IMPORT: JobKind(CARD_IMPORT, settle=_nothing_to_settle),
}


def build_providers(settings: Settings) -> dict[str, Provider]:
    """One adapter per vendor whose account is set up."""
    providers: dict[str, Provider] = {}
    if settings.reloadly is not None:
        providers["reloadly"] = ReloadlyProvider(
            VendorTransport(),
            auth_url=settings.reloadly.auth_url,
            base_url=settings.reloadly.base_url,
            client_id=settings.reloadly.client_id,
            client_secret=settings.reloadly.client_secret,
            limits=settings.limits,
        )
    return providers


def build_handlers(house: House) -> Handlers:
    """Bind every task kind to its work; a kind without exactly one handler stops the boot."""
    limits, keyring = house.limits, house.settings.keyring
    job_kinds = house.job_kinds
    tools = PlanTools(keyring, house.person_secret, limits)
    chunk = partial(work_chunk, kinds=job_kinds, limits=limits)
    give_up = partial(give_up_chunk, kinds=job_kinds, limits=limits)
    vendor: dict[str, Any] = {
        "providers": build_providers(house.settings),
        "keyring": keyring,
        "limits": limits,
        "draw": random.random,
    }
    give_up_on_order = partial(give_up_order, limits=limits)
    settle = partial(settle_task, kinds=job_kinds)
    handlers = (
        # A chunk that fails is soon split, so that its good items do not wait for a bad one.
        Handler(kinds.RUN_CHUNK, chunk, give_up, attempts_max=2),
        Handler(kinds.RUN_SINGLE, chunk, give_up, attempts_max=5),
        Handler(kinds.SETTLE_JOB, settle),
        Handler(
            kinds.PLAN_JOB,
            partial(plan_job, kinds=job_kinds, tools=tools),
            partial(give_up_plan, kinds=job_kinds),
        ),
        Handler(
            kinds.IMPORT_CARDS,
            partial(import_cards, keyring=keyring, limits=limits),
            give_up_import,
        ),
        Handler(kinds.PLACE_ORDER, partial(place_order, **vendor), give_up_on_order),
        Handler(kinds.RECOVER_ORDER, partial(recover_order, **vendor), give_up_on_order),
        _mail_handler(house),
        Handler(kinds.RETENTION, _retention),
        Handler(kinds.PURGE_KEYS, partial(_purge_keys, limits=limits)),
        Handler(kinds.SEAL_AUDIT, _seal_audit),
        Handler(kinds.WITNESS_AUDIT, partial(_witness_audit, key=witness_key(keyring))),
        Handler(
            kinds.ERASE_PERSON,
            partial(erase_person, keyring=keyring, person_secret=house.person_secret),
        ),
        Handler(kinds.RESEAL, partial(reseal, keyring=keyring)),
    )
    return Handlers({handler.kind.name: handler for handler in handlers}, limits)


def _mail_handler(house: House) -> Handler:
    settings, limits = house.settings, house.limits
    office = PostOffice(settings.mail, settings.keyring, limits, settings.public_url, random.random)
    run = partial(send_mail, office=office)
    return Handler(kinds.SEND_MAIL, run, give_up_mail, attempts_max=ATTEMPTS_MAX)


def _retention(session: Session, _task: TaskInHand, now: datetime) -> None:
    forget_people(session, now)
    forget_drafts(session, now)
    forget_failures(session, now)
    forget_buried(session, now)
    forget_mails(session, now)
    forget_links(session, now)
    forget_sign_ins(session, now)
    forget_addresses(session, now)


def _purge_keys(session: Session, _task: TaskInHand, now: datetime, *, limits: Limits) -> None:
    """A pass that was full is followed by another, each in a transaction of its own."""
    if keys.purge(session, now=now, days=limits.idempotency_key_days):
        defer(session, kinds.PURGE_KEYS, args={}, now=now)


def _seal_audit(session: Session, _task: TaskInHand, now: datetime) -> None:
    """A pass that was full is followed by another, each in a transaction of its own."""
    if seal(session).is_full:
        defer(session, kinds.SEAL_AUDIT, args={}, now=now)


def _witness_audit(session: Session, _task: TaskInHand, _now: datetime, *, key: bytes) -> None:
    tell(witness_heads(session, key=key))
