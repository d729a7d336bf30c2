"""Take turns: at the key versions with each other, and with whoever is sealing values."""

from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models.locks import Namespace, wait_for_lock
from pipelines.keys.refusals import SealingBusy


def wait_for_turn(session: Session) -> None:
    """Be the only one who changes key versions until this transaction ends; or `SealingBusy`."""
    _wait(session, Namespace.KEY_VERSIONS)


def wait_for_sealers(session: Session) -> None:
    """See every transaction end that has sealed something; or `SealingBusy`."""
    _wait(session, Namespace.SEALING)


def _wait(session: Session, namespace: Namespace) -> None:
    try:
        wait_for_lock(session, namespace, "versions")
    except OperationalError as fault:
        if isinstance(fault.orig, LockNotAvailable):
            raise SealingBusy from None
        raise
