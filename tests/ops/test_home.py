"""The data folder keeps its secrets, refuses strangers and lets one stack run at a time."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.home import AlreadyRunning, Home, HomeUnsafe, free_port, port_is_free, read_json

HOLD = "import sys; from ops.home import Home\nwith Home(sys.argv[1]).lock() as lock:\n lock.announce('http://127.0.0.1:8000'); print('held', flush=True); sys.stdin.read()"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_closed_to_everybody_else(home):
    expected = 0o710 if os.geteuid() == 0 else 0o700

    home.secret("session_key")
    home.open_log("web").close()

    assert mode(home.path) == expected
    assert mode(home.secrets_path) == 0o600
    assert mode(home.path / "logs") == 0o700
    assert mode(home.log_path("web")) == 0o600


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert Home.from_environment({"LARGESSE_HOME": str(tmp_path / "a")}).path == tmp_path / "a"
    assert Home.from_environment({}).path == tmp_path / ".largesse"


def test_a_folder_of_the_user_keeps_its_mode(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o755)

    Home(folder)

    assert mode(folder) == 0o755


def test_a_folder_that_others_may_change_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o770)

    with pytest.raises(HomeUnsafe) as refused:
        Home(folder)

    assert refused.value.detail == f"Others may write to {folder}; run `chmod go-w` on it."


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch(mode=0o600)

    with pytest.raises(HomeUnsafe):
        Home(tmp_path / "file")


def test_a_secret_is_made_once_and_kept(home):
    first = home.secret("session_key")

    again = Home(home.path).secret("session_key")

    assert again == first
    assert len(first) == 43
    assert home.secret("another") != first


def test_threads_that_need_the_same_secret_at_once_get_the_same(home):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: home.secret("session_key"), range(16)))

    assert len(found) == 1


def test_secrets_that_others_may_read_are_refused(home):
    home.secret("session_key")
    home.secrets_path.chmod(0o644)

    with pytest.raises(HomeUnsafe) as refused:
        home.secret("session_key")

    assert refused.value.detail == (f"Others may read {home.secrets_path}; run `chmod 600` on it.")


def test_a_second_stack_on_the_folder_is_told_where_the_first_one_runs(home):
    holder = hold(home)
    try:
        with pytest.raises(AlreadyRunning) as refused, home.lock():
            pass
    finally:
        holder.communicate("")

    assert refused.value.detail == (
        f"Largesse is already running as pid {holder.pid} at http://127.0.0.1:8000 "
        f"on {home.path}; stop it, or set LARGESSE_HOME and PORT to start another."
    )


def test_a_killed_stack_does_not_keep_the_folder(home):
    holder = hold(home)
    holder.kill()
    holder.communicate()

    with home.lock():
        assert read_json(home.path / "lock") == {"pid": os.getpid(), "url": ""}


def hold(home: Home) -> subprocess.Popen[str]:
    """Another process that holds the lock until its standard input closes."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, home.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_file_is_replaced_as_a_whole(home):
    home.write_json(home.pids_path, {"a": 1})
    home.write_json(home.pids_path, {"b": 2})

    assert read_json(home.pids_path) == {"b": 2}
    assert sorted(path.name for path in home.path.iterdir()) == ["pids.json"]


def test_a_long_log_is_set_aside(home, monkeypatch):
    monkeypatch.setattr("ops.home.LOG_BYTES_MAX", 10)
    for line in (b"first line\n", b"second\n"):
        with home.open_log("web") as log:
            log.write(line)

    assert home.log_path("web").read_bytes() == b"second\n"
    assert home.log_path("web").with_suffix(".log.1").read_bytes() == b"first line\n"


def test_a_free_port_can_be_bound():
    assert port_is_free(free_port())
