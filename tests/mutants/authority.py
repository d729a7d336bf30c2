"""Rules of who somebody is and what they may do, broken one at a time."""

from tests.mutants.mutants import Mutant

FACTOR = ("tests/web/test_second_factor.py",)
REFRESH = ("tests/web/test_refresh.py",)
DUAL = ("tests/web/test_dual_control.py",)
LOOK = ("tests/web/test_impersonation.py",)
AUDIT = ("tests/pipelines/test_audit_tampering.py",)

AUTHORITY = (
    Mutant(
        "a code of an app works twice",
        "pipelines/access/second_factor.py",
        "    step = matching_step(secret.reveal(), code, now=now, after=row.last_step)",
        "    step = matching_step(secret.reveal(), code, now=now, after=0)",
        FACTOR,
    ),
    Mutant(
        "a recovery code works twice",
        "pipelines/access/second_factor.py",
        "WHERE user_id = :user AND code_hash = :hash AND used_at IS NULL RETURNING 1",
        "WHERE user_id = :user AND code_hash = :hash RETURNING 1",
        FACTOR,
    ),
    Mutant(
        "administrators need no second factor",
        "web/guards.py",
        "    if needs_factor and caller.acting_for is None:",
        "    if needs_factor and caller.acting_for is None and False:",
        FACTOR,
    ),
    Mutant(
        "an old proof is as good as a fresh one",
        "web/guards.py",
        "    require_fresh_proof(caller, seconds=front().house.limits.step_up_seconds)",
        "    require_fresh_proof(caller, seconds=10**9)",
        ("tests/web/test_step_up.py",),
    ),
    Mutant(
        "a refresh token that was used long ago is only refused",
        "pipelines/access/sign_ins.py",
        "        _end(session, claims.sign_in_id, now=now)\n"
        '        _audit(session, "sign_in.token_reused"',
        '        _audit(session, "sign_in.token_reused"',
        REFRESH,
    ),
    Mutant(
        "small movements are not added up",
        "pipelines/credit/alone.py",
        "    return not reaches(limits.second_person_allocation_minor, amount=amount, moved=moved)",
        "    return not reaches(limits.second_person_allocation_minor, amount=amount, moved=0)",
        DUAL,
    ),
    Mutant(
        "movements at the same time do not see each other",
        "pipelines/credit/alone.py",
        "    wait_for_lock(session, Namespace.CREDIT_MOVED, str(caller.actor_id))",
        "    return",
        DUAL,
    ),
    Mutant(
        "changes of the key versions do not take turns",
        "pipelines/keys/turns.py",
        "    _wait(session, Namespace.KEY_VERSIONS)",
        "    return",
        ("tests/pipelines/test_key_retirement.py",),
    ),
    Mutant(
        "an erasure waits for nobody who writes",
        "pipelines/erasure/erase.py",
        "        wait_for_writers(session, row, now)",
        "        pass",
        ("tests/web/test_erasure_races.py",),
    ),
    Mutant(
        "an erasure goes through the copies once only",
        "pipelines/erasure/erase.py",
        "    elif row.has_found:",
        "    elif row.has_found and False:",
        ("tests/web/test_erasure_races.py",),
    ),
    Mutant(
        "who asked may approve",
        "pipelines/approvals/rules.py",
        "    if requested_by == decided_by:",
        "    if requested_by == decided_by and False:",
        DUAL,
    ),
    Mutant(
        "who looks as another may do what the other may",
        "pipelines/access/permissions.py",
        "        permission in LOOKING and may(principal.own_role, permission)",
        "        may(principal.own_role, permission)",
        LOOK,
    ),
    Mutant(
        "who looks as another sees what only the other may see",
        "pipelines/access/permissions.py",
        "        permission in LOOKING and may(principal.own_role, permission)",
        "        permission in LOOKING",
        LOOK,
    ),
    Mutant(
        "a link of the audit chain does not hang on the one before",
        "pipelines/audit/chain.py",
        "    return hashlib.sha256(before + canonical.encode()).digest()",
        "    return hashlib.sha256(canonical.encode()).digest()",
        AUDIT,
    ),
    Mutant(
        "a row hangs under another client's",
        "models/migrations/versions/0013_tenants_in_foreign_keys.py",
        '    ("chunks", _OF_JOB, _CASCADE),\n',
        "",
        ("tests/models/test_row_policies.py",),
    ),
)
