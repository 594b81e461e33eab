"""Model versions: one is active, and nobody but a person changes which."""

from dataclasses import replace
from datetime import timedelta

import pytest

import together
from received import NOW
from storage import registry
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.records import ModelVersion


def model(version: str = "1.0.0", *, active: bool = False) -> ModelVersion:
    return ModelVersion(
        name="flair-gan",
        version=version,
        sha256=f"{version} digest",
        folder=f"models/flair-gan-{version}",
        active=active,
        registered_at=NOW + timedelta(days=int(version[0])),
    )


def register(database: Database, *versions: ModelVersion) -> None:
    with database.begin() as session:
        for version in versions:
            registry.register(session, version)


def activate(database: Database, version: str) -> None:
    with database.begin() as session:
        registry.activate(session, "flair-gan", version)


def active(database: Database) -> ModelVersion | None:
    with database.read() as session:
        return registry.active(session)


def test_none_is_active_before_one_is_activated(database: Database) -> None:
    register(database, model())
    assert active(database) is None


def test_the_first_version_may_come_active(database: Database) -> None:
    register(database, model(active=True))
    assert active(database) == model(active=True)


def test_registering_at_each_start_never_undoes_what_a_person_activated(
    database: Database,
) -> None:
    register(database, model("1.0.0", active=True), model("2.0.0"))
    activate(database, "2.0.0")
    register(database, model("1.0.0", active=True))
    assert active(database) == model("2.0.0", active=True)


def test_activating_one_puts_the_other_back(database: Database) -> None:
    register(database, model("1.0.0", active=True), model("2.0.0"))
    for version in ("2.0.0", "2.0.0", "1.0.0"):
        activate(database, version)
        with database.read() as session:
            listed = registry.list_versions(session)
        assert [one.version for one in listed if one.active] == [version]


def test_versions_are_listed_newest_first(database: Database) -> None:
    register(database, model("1.0.0"), model("3.0.0"), model("2.0.0"))
    with database.read() as session:
        listed = registry.list_versions(session)
    assert listed == [model("3.0.0"), model("2.0.0"), model("1.0.0")]


def test_a_version_that_was_moved_is_found_in_its_new_folder(database: Database) -> None:
    register(database, model(active=True))
    register(database, replace(model(), folder="elsewhere", registered_at=NOW))
    assert active(database) == replace(model(active=True), folder="elsewhere")


def test_a_version_never_changes_its_contents(database: Database) -> None:
    register(database, model())
    with pytest.raises(Conflict, match="new version"):
        register(database, replace(model(), sha256="other"))


def test_an_unknown_version_is_not_activated(database: Database) -> None:
    register(database, model(active=True))
    with pytest.raises(NotFound, match=r"9\.9\.9"):
        activate(database, "9.9.9")
    assert active(database) == model(active=True)


def test_activations_at_once_leave_exactly_one_active(database: Database) -> None:
    versions = [f"{number}.0.0" for number in range(1, 7)]

    def start(version: str) -> None:
        register(database, model(version, active=True))
        activate(database, version)

    together.run(threads=[(start, (version,)) for version in versions])
    with database.read() as session:
        listed = registry.list_versions(session)
    assert len(listed) == len(versions)
    assert len([one for one in listed if one.active]) == 1
