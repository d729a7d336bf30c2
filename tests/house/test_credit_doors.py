"""Credit moves where it is asked whether one person may move it alone, and nowhere else (SEC-31)."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Who calls `allocate` and `recall`, and why that is right.
DOORS = {
    "pipelines/approvals/movements.py": "asks `may_move_alone`, or has a second person's word",
    "pipelines/tenants/budgets.py": "asks `may_move_alone`",
    "ops/demo/seed_credit.py": "the demo's first credit, in a database of its own",
}


CLAWS_BACK = {
    "pipelines/approvals/corrections.py": "has a second person's word (EC-077)",
    "pipelines/credit/top_up.py": "has the signed word of who took the payment (EC-077)",
}
MOVES = {
    ("pipelines.credit.allocate", "allocate"): DOORS,
    ("pipelines.credit.allocate", "recall"): DOORS,
    ("pipelines.credit.claw_back", "claw_back"): CLAWS_BACK,
}


def test_sec031_only_what_asks_for_a_second_person_moves_credit() -> None:
    found = {
        (str(path.relative_to(ROOT)), (node.module, name.name))
        for room in ("pipelines", "web", "workers", "ops")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
        if (node.module, name.name) in MOVES
    }

    assert {path for path, _move in found} == set(DOORS) | set(CLAWS_BACK)
    assert all(path in MOVES[move] for path, move in found)
