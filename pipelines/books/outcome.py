"""What came of a request about one coupon: the coupon as it is then, or why not."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from pipelines.books.coupon_view import coupon_view
from pipelines.books.look_up import coupon_by_id
from pipelines.jobs.kinds import Ended, Viewer

_ITEM = text("""
SELECT state, code, detail, result_id FROM items WHERE job_id = :job AND position = 1
""")
#: As the same refusal has at submit; what is not here is a conflict.
_STATUS = {"internal_error": 500, "account_suspended": 403, "user_not_found": 404, "not_found": 404}
CONFLICT = 409


def coupon_outcome(session: Session, job: Row[Any], _viewer: Viewer) -> Ended:
    """The result of an assignment or a redemption, or its error; both None while it is open."""
    item = session.execute(_ITEM, {"job": job.id}).one()
    if item.result_id is not None:
        coupon = coupon_by_id(session, UUID(job.spec["book_id"]), item.result_id)
        view = coupon_view(session, coupon, now=clock.now(session)).as_json()
        names = ("id", "code", "state", "book_id", "book", "user_id", "redemptions")
        return {"coupon": {name: view[name] for name in names}}, None
    if item.code is None:
        return None, None
    status = _STATUS.get(item.code, CONFLICT)
    return None, {"status": status, "code": item.code, "detail": item.detail}
