"""S3-095, S3-096, S3-097, S3-104, S3-141, S1-121, S3-147: docs/deployment.md and its files are true.

Every process has its Deployment, starts in production with what the files and the named secrets
give it, and the workflow promotes what it tested.
"""

import base64
import json
import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.supervise import parse_procfile
from pipelines.limits import DEFAULTS
from pipelines.settings import OWN_CONNECTIONS, PROCESSES, load
from tests.conftest import SURROUNDINGS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
PROCFILE = {e.name: e.command for e in parse_procfile((ROOT / "Procfile").read_text())}
MANIFESTS: list[dict[str, Any]] = [
    document
    for path in sorted((ROOT / "docs" / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
NAME = re.compile(r"`([A-Z][A-Z0-9_]+)`")
#: Threads of `bulk` where there are cores enough.
BULK_THREADS_MOST = 4


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m for m in MANIFESTS if m["kind"] == kind}


def pod(manifest: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod and its one container."""
    spec = manifest["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def secrets_of_page() -> dict[str, set[str]]:
    """Each secret and the variables that it must have."""
    rows = re.findall(r"^\| `(largesse-\w+)` \| ([^|]+) \|", TEXT, re.MULTILINE)
    return {name: set(NAME.findall(must)) for name, must in rows}


def invented(variable: str) -> str:
    """A value that production takes."""
    if variable == "LARGESSE_MASTER_KEYS":
        return "1:" + base64.b64encode(os.urandom(32)).decode()
    drawn = secrets.token_urlsafe(48)
    if variable == "QUEUE_URL":
        return f"rediss://:{drawn}@redis.internal:6379/0"
    if variable.startswith("DATABASE_"):
        return f"postgresql://largesse:{drawn}@postgres.internal:5432/largesse"
    return drawn


def test_s3_096_every_process_has_its_deployment() -> None:
    commands = {
        name.removeprefix("largesse-"): " ".join(pod(manifest)[1]["command"])
        for name, manifest in of_kind("Deployment").items()
    }

    assert commands == PROCFILE
    assert pod(of_kind("Job")["largesse-migrate"])[1]["command"] == [
        "python",
        "-m",
        "ops",
        "migrate",
    ]


@pytest.mark.parametrize("process", PROCFILE)
def test_s3_096_a_process_starts_with_what_it_is_given(
    process: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3-104: in production, with secrets of the named kinds, and the database of its own login."""
    given = pod(of_kind("Deployment")[f"largesse-{process}"])[1]["envFrom"]
    named = [source["secretRef"]["name"] for source in given if "secretRef" in source]
    variables = set().union(*(secrets_of_page()[name] for name in named))
    environment = of_kind("ConfigMap")["largesse"]["data"] | {v: invented(v) for v in variables}
    for variable in list(os.environ):
        if variable.startswith(SURROUNDINGS):
            monkeypatch.delenv(variable)
    for variable, text in environment.items():
        monkeypatch.setenv(variable, text)

    settings = load(process)

    login = PROCESSES[process][0].upper()
    assert {v for v in variables if v.startswith("DATABASE_")} == {f"DATABASE_{login}_URL"}
    assert settings.secure_cookies


@pytest.mark.parametrize("name", [*of_kind("Deployment"), *of_kind("Job")])
def test_s3_104_no_pod_is_root_or_may_become_it(name: str) -> None:
    spec, container = pod((of_kind("Deployment") | of_kind("Job"))[name])

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {spec['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (container["image"], "env" in container) == ("largesse", False)


def test_s3_104_the_files_hold_no_secret_and_only_the_front_is_reached() -> None:
    assert of_kind("Secret") == {}
    assert not set().union(*secrets_of_page().values()) & set(
        of_kind("ConfigMap")["largesse"]["data"]
    )
    policies = of_kind("NetworkPolicy")
    assert policies["largesse-nobody"]["spec"].get("ingress") is None
    assert policies["largesse-nobody"]["spec"]["podSelector"] == {
        "matchLabels": {"app": "largesse"}
    }
    reached = policies["largesse-web"]["spec"]["podSelector"]["matchLabels"]
    assert reached == of_kind("Service")["largesse"]["spec"]["selector"]
    assert reached == {"app": "largesse", "process": "web"}


def test_s3_096_the_front_is_probed_and_everybody_has_time_to_end() -> None:
    deployments = of_kind("Deployment")
    _spec, web = pod(deployments["largesse-web"])
    patience = {
        pod(manifest)[0]["terminationGracePeriodSeconds"] for manifest in deployments.values()
    }

    assert web["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert web["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert [n for n, m in deployments.items() if "livenessProbe" in pod(m)[1]] == ["largesse-web"]
    assert min(patience) > DEFAULTS.drain_seconds + 2
    limit = of_kind("Ingress")["largesse"]["metadata"]["annotations"][
        "nginx.ingress.kubernetes.io/proxy-body-size"
    ]
    assert int(limit.removesuffix("m")) * 2**20 > DEFAULTS.upload_bytes_max


def test_s3_096_the_page_counts_the_connections_of_the_files() -> None:
    held = {
        name: (BULK_THREADS_MOST if name == "bulk" else PROCESSES[name][1]) + OWN_CONNECTIONS
        for name in PROCFILE
    }
    replicas = {n: of_kind("Deployment")[f"largesse-{n}"]["spec"]["replicas"] for n in PROCFILE}
    standing = sum(held[name] * replicas[name] for name in PROCFILE)

    assert f"hold {standing} at most" in TEXT
    assert f"takes {sum(held.values())} more" in TEXT
    assert standing + sum(held.values()) < int(re.findall(r"max_connections = (\d+)", TEXT)[0])


def test_s3_095_the_task_definition_is_that_of_the_front() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    (container,) = json.loads(block)["containerDefinitions"]
    given = {entry["name"] for entry in container["secrets"]}
    must = secrets_of_page()

    assert " ".join(container["command"]) == PROCFILE["web"]
    assert given == must["largesse-web"] | must["largesse-shared"]
    for entry in container["secrets"]:
        secret, variable = re.findall(r":secret:([\w-]+):(\w+)::", entry["valueFrom"])[0]
        assert variable == entry["name"] in must[secret]
    assert container["stopTimeout"] > DEFAULTS.drain_seconds + 2


def test_s3_141_every_way_is_told_and_every_setting_of_the_page_exists() -> None:
    """S3-097: why Lambda does not fit is a part of the page."""
    titles = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    settings = {n for n in NAME.findall(TEXT) if n != "KUBECONFIG"}
    settings |= set(re.findall(r"`([A-Z][A-Z0-9_]+)=\w+`", TEXT))
    documented = re.sub("<PROCESS>", "WEB", CONFIGURATION)

    assert {"AWS: ECS on Fargate", "AWS: EKS, and any Kubernetes", "AWS: Lambda", "CI"} <= set(
        titles
    )
    assert {"Google Cloud", "Networks, TLS, WAF", "Secrets"} <= set(titles)
    assert [name for name in sorted(settings) if f"`{name}`" not in documented] == []
    assert f"up to {DEFAULTS.prefer_wait_seconds_max} seconds" in TEXT


def test_s1_121_s3_147_what_is_tested_is_built_once_and_promoted() -> None:
    """S1-121, S3-147: tests, image, environments by tags; a promotion builds nothing."""
    jobs = WORKFLOW["jobs"]
    steps = {name: [step.get("run", "") for step in job["steps"]] for name, job in jobs.items()}
    # YAML reads the key `on` as true.
    occasions = WORKFLOW[True]

    assert ".ci/run" in steps["test"]
    assert jobs["image"]["needs"] == "test"
    assert any("docker build" in run for run in steps["image"])
    assert not any("docker build " in run for run in steps["promote"])
    assert any(".ci/deploy" in run for run in steps["promote"])
    assert occasions["push"] == {"branches": ["main"], "tags": ["staging/*", "v*"]}
    assert {name: jobs[name]["if"] for name in jobs} == {
        "test": "github.ref_type == 'branch'",
        "image": "github.ref_type == 'branch'",
        "promote": "github.ref_type == 'tag'",
    }
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "'staging'" in jobs["promote"]["environment"]


def deploy(tmp_path: Path, image: str, *, failing: str = "never") -> tuple[int, list[str]]:
    """Run .ci/deploy with a kubectl that writes down what it is asked; its status and the lines."""
    told = tmp_path / "told"
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {told}\n'
        f'[ "$1" != apply ] || grep -E "^ +image:" >> {told}\n'
        f'[ "$1" != {failing} ]\n'
    )
    kubectl.chmod(0o755)
    done = subprocess.run(
        [ROOT / ".ci" / "deploy", image],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        check=False,
    )
    return done.returncode, told.read_text().splitlines() if told.exists() else []


def test_s1_121_a_deployment_brings_the_schema_first_and_waits_for_every_process(
    tmp_path: Path,
) -> None:
    image = "ghcr.io/you/largesse@sha256:" + "a" * 64

    status, told = deploy(tmp_path, image)

    verbs = [line for line in told if not line.startswith(" ")]
    assert status == 0
    assert [line.split()[0] for line in verbs[:4]] == ["delete", "apply", "wait", "apply"]
    assert [line.rpartition("/")[2] for line in verbs[4:]] == [f"largesse-{n}" for n in PROCFILE]
    images = [line.split()[-1] for line in told if line.startswith(" ")]
    assert images == [image] * (1 + len(PROCFILE))


def test_s1_121_a_migration_that_fails_leaves_the_old_processes(tmp_path: Path) -> None:
    status, told = deploy(tmp_path, "largesse@sha256:" + "a" * 64, failing="wait")

    assert status != 0
    assert sum(line.startswith("apply") for line in told) == 1


def test_s1_121_a_tag_is_not_deployed_for_it_may_move(tmp_path: Path) -> None:
    assert deploy(tmp_path, "ghcr.io/you/largesse:latest") == (2, [])
