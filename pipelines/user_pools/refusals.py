"""Why a pool of people says no."""

from pipelines.errors import FieldError, Kind, Refusal, ValidationFailed


class PoolArchived(Refusal):
    """Nobody is added to a pool that was put away, and nothing is distributed to it."""

    code = "pool_archived"
    kind = Kind.CONFLICT
    detail = "The pool is archived. Take it back into use before you add people to it."


class EntriesRefused(ValidationFailed):
    """Entries are wrong or of nobody, and so nobody was added; `errors` names each.

    Where all have one code, the whole has it too, and its words.
    """

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        said = {(error.code, error.detail) for error in errors}
        if len(said) == 1:
            ((self.code, detail),) = said  # type: ignore[misc]
        super().__init__(detail if len(said) == 1 else None, errors=errors)
