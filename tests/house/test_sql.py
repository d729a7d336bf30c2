"""SEC-22: no statement is made of values; what is put into SQL text is fixed in the code.

And a piece that is taken is taken once: what is chosen with a LIMIT in `IN (SELECT ...)` may be chosen
again for every row, as the plan likes, and more is taken than the limit says.

bandit's B608 sees that a statement is put together, not from what. Here each part must be a
constant of a module, or the function is listed with the reason why its parts are fixed too.
"""

import ast
import re
from collections.abc import Iterator

from tests.house.test_sizes import PRODUCT, ROOT, parsed

_STATEMENT = re.compile(
    r"^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|COPY|ALTER|CREATE|DROP|GRANT|SET)\b"
)
_IN = re.compile(r"\bIN \(\s*(?=SELECT\b)")
_CONSTANT = re.compile(r"^_{0,2}[A-Z][A-Z0-9_]*(\.[A-Z][A-Z0-9_]*)?$|^clock\.SQL$")
#: File and function -> why what it puts in is not from outside.
FIXED = {
    ("ops/bootstrap.py", "_ensure_role"): "attributes of roles that the same function writes",
    ("ops/sandbox/orderbook.py", "search"): "the sandbox: conditions that the same function writes",
    ("ops/sandbox/store.py", "clear"): "the sandbox: names of its own tables",
    (
        "models/migrations/versions/0013_tenants_in_foreign_keys.py",
        "upgrade",
    ): "names from its own lists",
    (
        "models/migrations/versions/0013_tenants_in_foreign_keys.py",
        "_build",
    ): "names from its own lists",
    (
        "models/migrations/versions/0013_tenants_in_foreign_keys.py",
        "_forget",
    ): "names from its own lists",
    (
        "models/migrations/versions/0013_tenants_in_foreign_keys.py",
        "_seen",
    ): "names from its own lists",
    ("pipelines/books/coupon_list.py", "page_of_coupons"): "columns and conditions of the room",
    ("pipelines/jobs/file_rows.py", "table_of"): "columns that a module of the house names",
    ("pipelines/keys/reseal.py", "_window"): "names from the registry of sealed columns",
    ("pipelines/keys/reseal.py", "_hold"): "names from the registry of sealed columns",
    ("pipelines/keys/reseal.py", "_update"): "names from the registry of sealed columns",
    ("pipelines/keys/walk.py", "_look"): "names from the registry of sealed columns",
    ("pipelines/keys/trial.py", "_values"): "names from the registry of sealed columns",
    ("pipelines/reconciliation/prove.py", "_checked"): "statements of the list of invariants",
}


def built(tree: ast.Module) -> Iterator[tuple[str, int, list[str]]]:
    """Statements put together: where, and the parts that are not constants of a module.

    What a module itself puts together when it is imported has nothing from outside in it.
    """
    for owner in ast.walk(tree):
        if not isinstance(owner, ast.FunctionDef):
            continue
        for node in _own_nodes(owner):
            text, parts = _parts(node)
            if parts and _STATEMENT.match(text):
                yield owner.name, node.lineno, [part for part in parts if not _CONSTANT.match(part)]


def _own_nodes(owner: ast.AST) -> Iterator[ast.expr]:
    """Expressions of a function or module, without those of functions inside it."""
    for child in ast.iter_child_nodes(owner):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, ast.expr):
            yield child
        yield from _own_nodes(child)


def _parts(node: ast.expr) -> tuple[str, list[str]]:
    """The text at the front and the sources of what is put in."""
    if isinstance(node, ast.JoinedStr):
        text = "".join(v.value for v in node.values if isinstance(v, ast.Constant))
        return text, [
            ast.unparse(v.value) for v in node.values if isinstance(v, ast.FormattedValue)
        ]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        front = node.left
        while isinstance(front, ast.BinOp):
            front = front.left
        if isinstance(front, ast.Constant) and isinstance(front.value, str):
            return front.value, [ast.unparse(node.right)]
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "format"
        and isinstance(node.func.value, ast.Constant)
        and isinstance(node.func.value.value, str)
    ):
        return node.func.value.value, [ast.unparse(argument) for argument in node.args]
    return "", []


def test_sec022_no_statement_is_put_together_from_values() -> None:
    """SEC-22"""
    loose = {
        (str(path.relative_to(ROOT)), name): parts
        for path, tree in parsed(*PRODUCT)
        for name, _line, parts in built(tree)
        if parts
    }
    assert {where: parts for where, parts in loose.items() if where not in FIXED} == {}
    assert set(FIXED) <= set(loose)


def test_what_a_limit_chooses_is_chosen_once() -> None:
    """As `= ANY (ARRAY(SELECT ...))` or from `WITH ... AS MATERIALIZED`; migrations are history."""
    loose = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in parsed(*PRODUCT)
        if "migrations" not in path.parts
        for node in ast.walk(tree)
        if chooses_again(_whole(node))
    ]

    assert loose == []


def _whole(node: ast.AST) -> str:
    """The text of a string; what an f-string puts in is one word."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_whole(part) or "word" for part in node.values)
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""


def chooses_again(statement: str) -> bool:
    """Whether a SELECT inside `IN (...)`, and none further inside, has a LIMIT."""
    for found in _IN.finditer(statement):
        inside, depth = "", 1
        for sign in statement[found.end() :]:
            depth += {"(": 1, ")": -1}.get(sign, 0)
            if depth == 0:
                break
            inside += sign if depth == 1 else ""
        if "LIMIT" in inside:
            return True
    return False


def test_the_rule_of_limits_finds_what_it_is_for() -> None:
    assert chooses_again("DELETE FROM t WHERE id IN (\n SELECT id FROM t WHERE (a) LIMIT 5)")
    assert not chooses_again("DELETE FROM t WHERE id IN (SELECT id FROM t) LIMIT 5")
    assert not chooses_again("DELETE FROM t WHERE id = ANY (ARRAY(SELECT id FROM t LIMIT 5))")


def test_the_rule_finds_what_it_is_for() -> None:
    bad = ast.parse(
        "def look(session, name):\n"
        "    session.execute(text(f\"SELECT 1 FROM users WHERE name = '{name}'\"))\n"
        "    session.execute(text('DELETE FROM users WHERE name = ' + name))\n"
        "    session.execute(text('UPDATE users SET name = {}'.format(name)))\n"
        "    session.execute(text('SELECT %s' % name))\n"
    )

    assert [parts for _name, _line, parts in built(bad)] == [["name"]] * 4
