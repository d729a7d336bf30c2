"""Procfile, compose file and settings name the same processes; no file holds a secret."""

import re
from pathlib import Path

import yaml

from ops.supervise import parse_procfile
from pipelines.settings import PROCESSES

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROCFILE = {e.name: e.command for e in parse_procfile((ROOT / "Procfile").read_text())}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN_KEY|MASTER_KEYS")
#: The logins whose addresses each process may know.
LOGIN_OF = {name: login for name, (login, _threads) in PROCESSES.items()}


def environment_of(service):
    return COMPOSE["services"][service].get("environment") or {}


def test_the_procfile_names_every_process_that_settings_know():
    assert list(PROCFILE) == [name for name in PROCESSES if name != "tools"]


def test_every_process_has_a_service_with_the_same_command():
    services = COMPOSE["services"]

    assert {name: services[name]["command"] for name in PROCFILE} == PROCFILE


def test_compose_adds_only_servers_migration_and_the_sandbox():
    services = COMPOSE["services"]

    assert set(services) - set(PROCFILE) == {"postgres", "redis", "migrate", "sandbox"}
    assert services["postgres"]["image"] == "postgres:18"
    assert services["redis"]["image"] == "redis:8"
    assert "--appendonly yes" in services["redis"]["command"][2]
    assert services["migrate"]["command"] == "python -m ops migrate"
    assert services["sandbox"]["profiles"] == ["sandbox"]
    assert [name for name in services if "profiles" in services[name]] == ["sandbox"]


def test_every_service_has_a_health_check():
    tests = {name: s.get("healthcheck", {}).get("test") for name, s in COMPOSE["services"].items()}

    assert [name for name, test in tests.items() if not test or test[0] == "NONE"] == []


def test_every_process_waits_for_the_migration():
    waits = {
        name: COMPOSE["services"][name]["depends_on"]["migrate"]["condition"] for name in PROCFILE
    }

    assert set(waits.values()) == {"service_completed_successfully"}


def test_a_process_knows_the_address_of_its_own_login_only():
    known = {
        name: sorted(key for key in environment_of(name) if key.startswith("DATABASE_"))
        for name in PROCFILE
    }

    assert known == {name: [f"DATABASE_{LOGIN_OF[name].upper()}_URL"] for name in PROCFILE}


def test_secrets_come_from_the_environment_alone():
    literal = [
        f"{service}: {key}"
        for service in COMPOSE["services"]
        for key, value in environment_of(service).items()
        if SECRET.search(key) and not re.fullmatch(r"\$\{\w+:(\?|-)\}", str(value))
    ]
    addresses = [
        value
        for service in COMPOSE["services"]
        for value in map(str, environment_of(service).values())
        if "://" in value and "@" in value
    ]

    assert literal == []
    assert addresses
    assert [a for a in addresses if not re.search(r":\$\{\w+:\?\}@", a)] == []


def test_only_loopback_ports_are_opened():
    ports = [p for s in COMPOSE["services"].values() for p in s.get("ports", [])]

    assert ports == ["127.0.0.1:${PORT:-8000}:8000"]


def test_the_image_runs_as_nobody_special_and_holds_no_secret():
    lines = (ROOT / "Dockerfile").read_text().splitlines()

    assert [line for line in lines if line.startswith("FROM ")] == [
        "FROM python:3.12-slim AS build",
        "FROM python:3.12-slim",
    ]
    assert "USER largesse" in lines
    assert [line for line in lines if SECRET.search(line)] == []
