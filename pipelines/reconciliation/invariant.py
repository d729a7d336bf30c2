"""What an invariant is: the statement that finds the rows that break it."""

from dataclasses import dataclass


def of_job(column: str) -> str:
    """The condition that narrows a statement to the job asked for; folded away when none is."""
    return f"(CAST(:job AS uuid) IS NULL OR {column} = CAST(:job AS uuid))"


@dataclass(frozen=True, slots=True)
class Invariant:
    """`population` is what is checked (FROM ... WHERE); `violations` gives a line per broken row.

    What is true only of the whole house, `of_one_job` false, is left out when a job is asked for.
    """

    id: str
    title: str
    population: str
    violations: str
    of_one_job: bool = True
