"""What a distribution would do, for the API and the console: read, and everything taken back."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from pipelines.distribution.preview import preview_json
from pipelines.distribution.submit import Submission, preview_distribution
from web.front import front


def foreseen(session: Session, asked: Submission, actor_id: UUID) -> dict[str, Any]:
    """The preview of the API, in the scope of the pool's client; nothing stays written."""
    house = front().house
    savepoint = session.begin_nested()
    try:
        plan, job_id = preview_distribution(
            session, asked, actor_id=actor_id, draw_key=house.draw_key, limits=house.limits
        )
        return preview_json(session, plan, job_id)
    finally:
        savepoint.rollback()
