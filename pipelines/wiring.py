"""Put the house together: handlers of task kinds, kinds of jobs, providers, from the settings."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from models.database import Sessions, create_database_engine, sessions_of
from pipelines.access import rate_policies
from pipelines.access.authenticate import forget_failures
from pipelines.access.forget_sign_ins import forget_sign_ins
from pipelines.access.links import forget_links
from pipelines.alerts.fold import forget_alerts
from pipelines.approvals import corrections
from pipelines.approvals.approvals import Kinds
from pipelines.audit.forget import forget_addresses
from pipelines.audit.seal import seal
from pipelines.audit.witness import tell, witness_heads, witness_key
from pipelines.books.add_up import add_up_books
from pipelines.books.import_codes import CODES
from pipelines.checkout.end import release_expired
from pipelines.credit.drift import check_balances
from pipelines.deliveries import send as deliveries
from pipelines.discounts.import_codes import DISCOUNTS
from pipelines.discounts.refused import forget_refusals
from pipelines.erasure.erase import erase_person
from pipelines.job_kinds import job_kinds_of
from pipelines.jobs.kinds import JobKind, PlanTools
from pipelines.jobs.plan_job import give_up_plan, plan_job
from pipelines.jobs.retention import forget_drafts, forget_people
from pipelines.jobs.run_import import give_up_import, run_import
from pipelines.jobs.settle import settle_task
from pipelines.jobs.work_chunk import give_up_chunk, work_chunk
from pipelines.keys.reseal import reseal
from pipelines.limits import Limits
from pipelines.mail.send import ATTEMPTS_MAX, PostOffice, forget_mails, give_up_mail, send_mail
from pipelines.monitoring.integrity import integrity_task
from pipelines.monitoring.monitor import monitor_task
from pipelines.monitoring.notify import fold_and_tell, forget_notices
from pipelines.openings import open_sheet
from pipelines.openings.forget import forget_sheets
from pipelines.partners.forget import forget_partner_traces
from pipelines.paying import Paying, build_paying, payment_handlers
from pipelines.payments.inbox import forget_events
from pipelines.pools.import_cards import CARDS
from pipelines.pools.move_cards import go_on_moving
from pipelines.pricing.sync_catalogue import sync_catalogue, sync_catalogues
from pipelines.providers.ports import Provider
from pipelines.providers.token_store import SharedTokens
from pipelines.providers.transport import VendorTransport
from pipelines.providers.vendors import VENDORS, make_providers
from pipelines.provisioning import replace_approval
from pipelines.provisioning.follow_credit import follow_credit
from pipelines.provisioning.give_up import give_up_order
from pipelines.provisioning.purchase import place_order
from pipelines.provisioning.recover import recover_order
from pipelines.queue import keys, kinds
from pipelines.queue.dead_letters import forget_buried
from pipelines.queue.defer import defer
from pipelines.queue.handlers import Handler, Handlers
from pipelines.queue.work import TaskInHand
from pipelines.redemption.lock import tidy_locks
from pipelines.referrals.issue import issue_rewards
from pipelines.refilling.refill import refill_buffers
from pipelines.sealing import Keyring
from pipelines.settings import Environment, Settings, SettingsBroken
from pipelines.sms.twilio import TwilioSender
from pipelines.usage.add_up import add_up
from pipelines.user_pools.import_members import MEMBERS
from pipelines.vendors.check import check_vendor
from pipelines.vendors.look_after import look_after_vendors
from pipelines.webhooks import send
from pipelines.webhooks.forget import forget_webhooks
from pipelines.webhooks.publish import publish
from pipelines.webhooks.signing import LABEL
from pipelines.webhooks.standing import look_after_failing

#: Resolved alerts are looked at this long.
ALERTS_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class House:
    """What a door needs: settings, limits, sessions, and the kinds of jobs."""

    settings: Settings
    limits: Limits
    sessions: Sessions
    job_kinds: Mapping[str, JobKind]
    rates: rate_policies.Table
    approval_kinds: Kinds
    paying: Paying

    @property
    def vendors(self) -> frozenset[str]:
        """The vendors whose accounts are set up here."""
        return frozenset(
            name for name in VENDORS if getattr(self.settings.vendors, name) is not None
        )

    @property
    def person_secret(self) -> bytes:
        """The key under which recipients are recognised without their address."""
        return self.settings.keyring.lasting_key("people")

    @property
    def draw_key(self) -> bytes:
        """The key that the seeds of draws are made with, each from its plan."""
        return self.settings.keyring.lasting_key("draws")

    @property
    def webhook_key(self) -> bytes:
        """The key that the secrets of endpoints are made from."""
        return self.settings.keyring.lasting_key(LABEL)


def build_house(settings: Settings) -> House:
    """Open the database pool for this process and gather what its doors use."""
    engine = create_database_engine(
        settings.database_url,
        pool_size=settings.pool_size,
        pooled_by_proxy=settings.pooled_by_proxy,
    )
    sessions = sessions_of(engine)
    return House(
        settings=settings,
        limits=settings.limits,
        sessions=sessions,
        job_kinds=job_kinds_of(settings.keyring),
        rates=_rates(settings),
        approval_kinds=_approval_kinds(settings.limits),
        paying=build_paying(settings, sessions),
    )


def _approval_kinds(limits: Limits) -> Kinds:
    """Every act that may wait for a second person."""
    others = (replace_approval.approval_kind(limits), open_sheet.approval_kind(limits))
    return {**corrections.KINDS, **{kind.name: kind for kind in others}}


def _rates(settings: Settings) -> rate_policies.Table:
    is_production = settings.environment is Environment.PRODUCTION
    try:
        return rate_policies.table(settings.edge.rates, is_production=is_production)
    except KeyError as error:
        known = ", ".join(sorted(rate_policies.NAMES))
        raise SettingsBroken(
            f"LARGESSE_RATE_LIMITS names {error.args[0]}, which is no limit; there are {known}."
        ) from None


def build_providers(settings: Settings, sessions: Sessions | None = None) -> dict[str, Provider]:
    """One adapter per vendor whose account is set up; with `sessions` they share their tokens."""
    tokens = None if sessions is None else SharedTokens(sessions, settings.keyring)
    return make_providers(settings.vendors, settings.limits, tokens=tokens)


def build_handlers(house: House) -> Handlers:
    """Bind every task kind to its work; a kind without exactly one handler stops the boot."""
    limits, keyring = house.limits, house.settings.keyring
    job_kinds = house.job_kinds
    tools = PlanTools(keyring, house.person_secret, limits)
    chunk = partial(work_chunk, kinds=job_kinds, limits=limits)
    give_up = partial(give_up_chunk, kinds=job_kinds, limits=limits)
    providers = build_providers(house.settings, house.sessions)
    settle = partial(settle_task, kinds=job_kinds, limits=limits)
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
        *_import_handlers(house),
        Handler(kinds.MOVE_CARDS, go_on_moving),
        *_order_handlers(house, providers),
        Handler(kinds.REFILL_BUFFERS, partial(refill_buffers, limits=limits)),
        _mail_handler(house),
        _delivery_handler(house),
        *_webhook_handlers(house),
        Handler(kinds.RETENTION, _retention),
        _in_passes(
            kinds.RELEASE_EXPIRED, lambda session, now: release_expired(session, now).is_full
        ),
        _in_passes(kinds.ISSUE_REWARDS, lambda session, now: issue_rewards(session, now).is_full),
        *payment_handlers(house.paying),
        _in_passes(kinds.TIDY_LOCKS, lambda session, now: tidy_locks(session, now=now)),
        _in_passes(
            kinds.PURGE_KEYS,
            lambda session, now: keys.purge(session, now=now, days=limits.idempotency_key_days),
        ),
        *_watch_handlers(limits, keyring),
        Handler(
            kinds.ERASE_PERSON,
            partial(erase_person, keyring=keyring, person_secret=house.person_secret),
        ),
        *_credit_handlers(house),
        Handler(kinds.RESEAL, partial(reseal, keyring=keyring)),
        *_vendor_handlers(providers, limits),
    )
    return Handlers({handler.kind.name: handler for handler in handlers}, limits)


def _import_handlers(house: House) -> tuple[Handler, ...]:
    tools: dict[str, Any] = {
        "keyring": house.settings.keyring,
        "person_secret": house.person_secret,
        "limits": house.limits,
    }
    return tuple(
        Handler(
            kind.task,
            partial(run_import, kind=kind, **tools),
            partial(give_up_import, kind=kind),
        )
        for kind in (CARDS, CODES, DISCOUNTS, MEMBERS)
    )


def _watch_handlers(limits: Limits, keyring: Keyring) -> tuple[Handler, ...]:
    """What looks at the house and counts it, and changes nothing in it."""
    key = witness_key(keyring)
    return (
        _in_passes(kinds.SEAL_AUDIT, lambda session, _now: seal(session).is_full),
        _in_passes(
            kinds.FOLD_ALERTS,
            lambda session, now: fold_and_tell(session, keyring=keyring, now=now).is_full,
        ),
        Handler(kinds.MONITOR, partial(monitor_task, limits=limits)),
        Handler(kinds.INTEGRITY_CHECK, partial(integrity_task, limits=limits)),
        _in_passes(kinds.ADD_UP_ISSUED, lambda session, _now: add_up(session)),
        _in_passes(kinds.ADD_UP_BOOKS, lambda session, _now: add_up_books(session)),
        Handler(kinds.WITNESS_AUDIT, lambda session, *_: tell(witness_heads(session, key=key))),
    )


def _vendor_handlers(providers: Mapping[str, Provider], limits: Limits) -> tuple[Handler, ...]:
    check = partial(check_vendor, providers=providers, limits=limits, draw=random.random)
    look_after = partial(look_after_vendors, vendors=providers)
    read = partial(sync_catalogue, providers=providers, limits=limits, draw=random.random)
    return (
        Handler(kinds.LOOK_AFTER_VENDORS, look_after),
        Handler(kinds.CHECK_VENDOR, check),
        Handler(kinds.SYNC_CATALOGUES, partial(sync_catalogues, vendors=providers)),
        Handler(kinds.SYNC_CATALOGUE, read),
    )


def _credit_handlers(house: House) -> tuple[Handler, Handler]:
    follow = partial(follow_credit, kinds=house.job_kinds, limits=house.limits)
    return (
        Handler(kinds.FOLLOW_CREDIT, follow),
        Handler(kinds.CHECK_BALANCES, _check_balances),
    )


def _order_handlers(house: House, providers: Mapping[str, Provider]) -> tuple[Handler, ...]:
    """An order's life is one, whatever it is for."""
    vendor: dict[str, Any] = {
        "providers": providers,
        "keyring": house.settings.keyring,
        "limits": house.limits,
        "draw": random.random,
    }
    give_up = partial(give_up_order, limits=house.limits)
    return tuple(
        Handler(kind, partial(work, **vendor), give_up)
        for kind, work in (
            (kinds.PLACE_ORDER, place_order),
            (kinds.RECOVER_ORDER, recover_order),
            (kinds.PLACE_POOL_ORDER, place_order),
            (kinds.RECOVER_POOL_ORDER, recover_order),
        )
    )


def _mail_handler(house: House) -> Handler:
    settings, limits = house.settings, house.limits
    office = PostOffice(settings.mail, settings.keyring, limits, settings.public_url, random.random)
    run = partial(send_mail, office=office)
    return Handler(kinds.SEND_MAIL, run, give_up_mail, attempts_max=ATTEMPTS_MAX)


def _delivery_handler(house: House) -> Handler:
    settings, limits = house.settings, house.limits
    sms = None if settings.sms is None else TwilioSender(VendorTransport(), settings.sms)
    dispatch = deliveries.Dispatch(
        settings.mail, sms, settings.keyring, limits, settings.public_url, random.random
    )
    run = partial(deliveries.deliver, dispatch=dispatch)
    give_up = deliveries.give_up_delivery
    return Handler(kinds.DELIVER, run, give_up, attempts_max=deliveries.ATTEMPTS_MAX)


def _webhook_handlers(house: House) -> tuple[Handler, Handler]:
    by = send.courier(
        key=house.webhook_key,
        anywhere=house.settings.webhooks_anywhere,
        limits=house.limits,
        draw=random.random,
    )
    return (
        Handler(kinds.PUBLISH_EVENTS, _publish_events),
        Handler(kinds.SEND_EVENTS, partial(send.send_events, courier=by)),
    )


def _retention(session: Session, _task: TaskInHand, now: datetime) -> None:
    """A pass with more than it could forget is followed by another, in its own transaction."""
    in_pieces = (forget_people, forget_drafts, forget_webhooks, forget_events, forget_refusals)
    full = [forget(session, now) for forget in (*in_pieces, forget_partner_traces)]
    whole = (forget_sheets, forget_failures, forget_buried, forget_mails, forget_links)
    for forget in (*whole, forget_sign_ins, forget_addresses, forget_notices):
        forget(session, now)
    forget_alerts(session, before=now - ALERTS_KEPT)
    if any(full):
        defer(session, kinds.RETENTION, args={}, now=now)


def _check_balances(session: Session, _task: TaskInHand, now: datetime) -> None:
    check_balances(session, now)


def _publish_events(session: Session, _task: TaskInHand, now: datetime) -> None:
    """A pass that was full is followed by another, each in a transaction of its own."""
    if publish(session, now):
        defer(session, kinds.PUBLISH_EVENTS, args={}, now=now)
    look_after_failing(session, now)


def _in_passes(kind: kinds.TaskKind, one_pass: Callable[[Session, datetime], bool]) -> Handler:
    """A pass that was full is followed by another, each in a transaction of its own."""

    def run(session: Session, _task: TaskInHand, now: datetime) -> None:
        if one_pass(session, now):
            defer(session, kind, args={}, now=now)

    return Handler(kind, run)
