"""Judge one row that names a person: by our id, by address, or by the client's own id of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pipelines.access.users import normalised
from pipelines.errors import FieldError
from pipelines.jobs.addresses import read_email
from pipelines.jobs.cells import FORBIDDEN_IN_IDENTIFIERS, ILLEGAL_CHARACTER, CellProblem
from pipelines.jobs.csv_reader import ColumnRules

#: What people are named by.
IDENTIFIERS = ("user_id", "email", "external_id")
#: Columns of our own list of members, which can be uploaded again as it is.
OUTCOME_COLUMNS = ("is_active", "added_at")
COLUMNS = ColumnRules(required=(), optional=(*IDENTIFIERS, "name", *OUTCOME_COLUMNS))
NAME_CHARACTERS_MAX = 200
EXTERNAL_ID_CHARACTERS_MAX = 255

NAMELESS = CellProblem("required", "Give a user id, an e-mail address or an external id.")
INVALID_ID = CellProblem("invalid_id", "This is no user id of ours.")
TOO_LONG = CellProblem("too_long", f"A name has at most {NAME_CHARACTERS_MAX} characters.")
EXTERNAL_ID_TOO_LONG = CellProblem(
    "external_id_length", f"An external id has at most {EXTERNAL_ID_CHARACTERS_MAX} characters."
)


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody as a row names them; text is as given."""

    user_id: UUID | None
    email: str | None
    email_normalised: str | None
    external_id: str | None
    name: str


def check_member(cells: Mapping[str, str]) -> Named | FieldError:
    """Whom the row names, or the first thing wrong with it."""
    user_id = _user_id(cells.get("user_id", ""))
    if isinstance(user_id, CellProblem):
        return _error(user_id, "user_id")
    given = cells.get("email", "")
    read = read_email(given) if given.strip(" ") else None
    if isinstance(read, CellProblem):
        return _error(read, "email")
    external_id = cells.get("external_id", "").strip(" ")
    problem = _external_id_problem(external_id)
    if problem is not None:
        return _error(problem, "external_id")
    name = cells.get("name", "").strip()
    if len(name) > NAME_CHARACTERS_MAX:
        return _error(TOO_LONG, "name")
    if user_id is None and read is None and not external_id:
        return _error(NAMELESS, None)
    address = read.address if read else None
    compared = normalised(address) if address else None
    return Named(user_id, address, compared, external_id or None, name)


def compared_email(words: str) -> str:
    """An address in the form in which people are compared; what is none stands for nobody's."""
    read = read_email(words)
    return normalised(words if isinstance(read, CellProblem) else read.address)


def _user_id(text: str) -> UUID | CellProblem | None:
    text = text.strip(" ")
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        return INVALID_ID


def _external_id_problem(text: str) -> CellProblem | None:
    if FORBIDDEN_IN_IDENTIFIERS.search(text) or any(sign in text for sign in "\r\n\t"):
        return ILLEGAL_CHARACTER
    return EXTERNAL_ID_TOO_LONG if len(text) > EXTERNAL_ID_CHARACTERS_MAX else None


def _error(problem: CellProblem, field: str | None) -> FieldError:
    return FieldError(problem.code, problem.detail, field=field)
