"""Look the house over now: for outside schedulers, and for a person at the console."""

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, tenant_scope
from pipelines.monitoring.monitor import Report, monitor
from pipelines.monitoring.notify import fold_and_tell
from web.front import front


def look_now() -> Report:
    """Look, and have what was found stand among the alerts when this returns."""
    house = front().house
    with tenant_scope(SYSTEM):
        report = monitor(house.sessions, limits=house.limits)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_and_tell(session, keyring=house.settings.keyring, now=clock.now(session))
    return report
