"""`neurosieve users`: who may sign in, as an administrator lets them in and out."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import analysed_node
from agent import bootstrap, settings
from agent.cli import app
from agent.status import users

PASSWORD, OTHER = "correct horse battery", "another long password"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return analysed_node.configured(tmp_path)


def run(config: Path, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["users", *arguments, "--config", str(config)], input=typed)


def add(config: Path, name: str, password: str = PASSWORD) -> Result:
    return run(config, "add", name, "--password-stdin", typed=f"{password}\n")


def names(config: Path) -> list[str]:
    result = run(config, "list", "--json")
    assert result.exit_code == 0, result.output
    return [one["name"] for one in json.loads(result.stdout)]


def may_sign_in(config: Path, name: str, password: str) -> bool:
    return users.check(bootstrap.users_file(settings.load(config)), name, password)


def audited(config: Path) -> list[tuple[str, str]]:
    result = CliRunner().invoke(app, ["audit", "list", "--json", "--config", str(config)])
    return [(one["action"], one["subject"]) for one in json.loads(result.stdout)]


def test_a_user_is_let_in_listed_and_let_out(config: Path) -> None:
    assert names(config) == []
    result = add(config, "anna")
    assert (result.exit_code, result.stdout) == (0, "anna may sign in.\n")
    add(config, "bert", OTHER)
    assert names(config) == ["anna", "bert"]
    assert "anna" in run(config, "list").stdout
    assert may_sign_in(config, "anna", PASSWORD)
    assert not may_sign_in(config, "anna", OTHER)
    result = run(config, "remove", "anna")
    assert (result.exit_code, result.stdout) == (0, "anna may no longer sign in.\n")
    assert names(config) == ["bert"]
    assert not may_sign_in(config, "anna", PASSWORD)
    assert may_sign_in(config, "bert", OTHER)


def test_a_password_that_is_typed_is_asked_for_twice(config: Path) -> None:
    result = run(config, "add", "anna", typed=f"{PASSWORD}\n{OTHER}\n{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    assert may_sign_in(config, "anna", PASSWORD)


def test_another_password_replaces_the_first(config: Path) -> None:
    add(config, "anna")
    add(config, "anna", OTHER)
    assert names(config) == ["anna"]
    assert not may_sign_in(config, "anna", PASSWORD)
    assert may_sign_in(config, "anna", OTHER)


def test_the_audit_says_who_was_let_in_and_out_and_no_password(config: Path) -> None:
    add(config, "anna")
    run(config, "remove", "anna")
    assert audited(config) == [("user removed", "anna"), ("user added", "anna")]
    kept = [path.read_bytes() for path in (config.parent / "data").glob("neurosieve.db*")]
    assert kept
    assert all(PASSWORD.encode() not in content for content in kept)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such bits")
def test_the_file_of_users_is_for_the_service_alone(config: Path) -> None:
    add(config, "anna")
    file = bootstrap.users_file(settings.load(config))
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("anna", "short", "at least 12 characters"),
        ("anna", "", "at least 12 characters"),
        ("an na", PASSWORD, "cannot be a user"),
        ("../anna", PASSWORD, "cannot be a user"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    config: Path, name: str, password: str, said: str
) -> None:
    result = add(config, name, password)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert (names(config), audited(config)) == ([], [])


def test_nobody_unknown_is_let_out(config: Path) -> None:
    add(config, "anna")
    result = run(config, "remove", "bert")
    assert result.exit_code == 1
    assert "There is no user bert; `neurosieve users list` shows all." in result.stderr
    assert names(config) == ["anna"]
    assert audited(config) == [("user added", "anna")]
