"""Where and as whom the embedded servers run, so that root never runs them itself."""

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.home import Home, unprivileged_ids
from pipelines.errors import Kind, Refusal

#: Folders that an unprivileged account can reach on every Linux.
LODGINGS = Path("/var/tmp")  # nosec B108

Say = Callable[[str], None]


class DataExposed(Refusal):
    """Somebody else may look into a server's data."""

    code = "data_exposed"
    kind = Kind.FORBIDDEN


class LodgingTaken(Refusal):
    """The folder meant for the servers' data exists and is not ours."""

    code = "lodging_taken"
    kind = Kind.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that a server runs as."""

    uid: int
    gid: int

    @property
    def is_own(self) -> bool:
        return self.uid == os.geteuid()

    def become(self) -> None:
        """Give up every right but this account's; only for a process about to start a program."""
        if not self.is_own:
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)


def server_account(data: Path) -> Account:
    """The owner of existing data; else the own user, or `nobody` in the place of root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    return Account(*unprivileged_ids())


def can_reach(account: Account, path: Path) -> bool:
    """Whether the account may pass through every folder to `path` and use it; asks the kernel."""
    if account.is_own:
        return os.access(path, os.X_OK)
    asked = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$1"', "sh", path],
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        check=False,
    )
    return asked.returncode == 0


def lodging_path(home: Home, account: Account) -> Path:
    """Our folder for servers that cannot reach `home`; the same at every start."""
    mark = hashlib.sha256(os.fsencode(home.path)).hexdigest()[:12]
    return LODGINGS / f"largesse-{account.uid}-{mark}"


def data_folder(home: Home, name: str, *, say: Say) -> tuple[Path, Account]:
    """The folder of one server's data and its account: in `home`, or lodged where it can go.

    Data once made stays where it is, whatever becomes reachable later.
    """
    inside = home.path / name
    account = server_account(inside)
    if inside.exists():
        _refuse_if_open(inside)
        return inside, account
    lodged = lodging_path(home, account) / name
    if lodged.exists() or not can_reach(account, home.path):
        _open_lodging(home, account, say=say)
        if lodged.exists():
            _refuse_if_open(lodged)
        return lodged, account
    return inside, account


def _refuse_if_open(data: Path) -> None:
    """Who may look into a server's data needs none of its passwords (SEC-38)."""
    if data.stat().st_mode & 0o077:
        raise DataExposed(f"Others may look into {data}; run `chmod 700` on it.")


def reachable_binaries(
    home: Home,
    account: Account,
    folders: tuple[Path, ...],
    *,
    without: tuple[str, ...] = (),
    say: Say,
) -> Path:
    """The folder above `folders` for this account: where they are, or a copy that it can reach.

    The folders stay beside each other, because programs find their libraries by that.
    """
    parent = folders[0].parent
    if all(can_reach(account, folder) for folder in folders):
        return parent
    lodging = _open_lodging(home, account, say=say)
    mark = hashlib.sha256("\n".join(_facts(folder) for folder in folders).encode()).hexdigest()[:12]
    copy = lodging / f"binaries-{mark}"
    if not copy.exists():
        _copy_in_one_step(folders, copy, without)
    return copy


def _facts(folder: Path) -> str:
    facts = folder.stat()
    return f"{folder} {facts.st_mtime_ns} {facts.st_ino}"


def _copy_in_one_step(folders: tuple[Path, ...], copy: Path, without: tuple[str, ...]) -> None:
    """Fill a folder of our own first, so that a copy is there as a whole or not at all."""
    with tempfile.TemporaryDirectory(dir=LODGINGS, prefix="largesse-copy-") as draft:
        inside = Path(draft) / "binaries"
        inside.mkdir(mode=0o755)
        for folder in folders:
            shutil.copytree(folder, inside / folder.name, ignore=shutil.ignore_patterns(*without))
        inside.rename(copy)


def _open_lodging(home: Home, account: Account, *, say: Say) -> Path:
    lodging = lodging_path(home, account)
    try:
        make_private_folder(lodging, account)
    except FileExistsError:
        facts = lodging.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != account.uid or facts.st_mode & 0o077:
            raise LodgingTaken(
                f"{lodging} exists and is not a private folder of user {account.uid}; "
                "remove it, or set LARGESSE_HOME."
            ) from None
    else:
        say(
            f"User {account.uid} cannot reach {home.path} or the programs: "
            f"what the servers need is kept in {lodging}."
        )
    return lodging


def make_private_folder(path: Path, account: Account) -> None:
    """Make `path` with mode 0700 for the account; never touches a folder that exists."""
    path.mkdir(mode=0o700)
    if not account.is_own:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def discard(home: Home) -> None:
    """Remove the data folder and its lodging for good; nothing may run on it."""
    with home.lock():
        for account in {server_account(home.path / name) for name in ("postgres", "valkey")}:
            lodging = lodging_path(home, account)
            if lodging.is_dir() and not lodging.is_symlink():
                shutil.rmtree(lodging)
        shutil.rmtree(home.path)
