"""The models a node knows, and the one that is on trial."""

from dataclasses import replace
from datetime import timedelta

import pytest

import together
from received import NOW
from storage import registry
from storage.database import Database
from storage.enums import Origin
from storage.errors import Conflict, NotFound
from storage.model_records import ModelVersion


def model(version: str = "1.0.0", *, name: str = "flair-gan") -> ModelVersion:
    return ModelVersion(
        name=name,
        version=version,
        sha256=f"{name} {version} digest",
        folder=f"models/{name}/{version}",
        origin=Origin.IMPORTED,
        sequence="FLAIR",
        registered_at=NOW + timedelta(days=int(version[0])),
    )


def register(database: Database, *versions: ModelVersion) -> None:
    with database.begin() as session:
        for version in versions:
            registry.register(session, version)


def find(database: Database, wanted: str) -> ModelVersion:
    with database.read() as session:
        return registry.find(session, wanted)


def test_versions_are_listed_newest_first(database: Database) -> None:
    register(database, model("1.0.0"), model("3.0.0"), model("2.0.0"))
    with database.read() as session:
        listed = registry.list_versions(session)
    assert listed == [model("3.0.0"), model("2.0.0"), model("1.0.0")]


def test_a_version_that_was_moved_is_found_in_its_new_folder(database: Database) -> None:
    register(database, model())
    register(database, replace(model(), folder="elsewhere", registered_at=NOW))
    assert find(database, "1.0.0") == replace(model(), folder="elsewhere")


def test_a_version_never_changes_its_contents(database: Database) -> None:
    register(database, model())
    with pytest.raises(Conflict, match="new version"):
        register(database, replace(model(), sha256="other"))


def test_a_model_is_found_by_whatever_only_it_bears(database: Database) -> None:
    register(database, model("1.0.0"), model("2.0.0"), model("2.0.0", name="t1-gan"))
    assert find(database, "flair-gan@2.0.0") == model("2.0.0")
    assert find(database, "1.0.0") == model("1.0.0")
    assert find(database, "t1-gan") == model("2.0.0", name="t1-gan")


@pytest.mark.parametrize("wanted", ["2.0.0", "flair-gan"])
def test_what_several_bear_is_refused_with_their_names(database: Database, wanted: str) -> None:
    register(database, model("1.0.0"), model("2.0.0"), model("2.0.0", name="t1-gan"))
    with pytest.raises(Conflict, match=r"flair-gan@2\.0\.0"):
        find(database, wanted)


@pytest.mark.parametrize("wanted", ["9.9.9", "flair-gan@9.9.9", "", "@"])
def test_what_nobody_bears_is_not_found(database: Database, wanted: str) -> None:
    register(database, model())
    with pytest.raises(NotFound, match="models list"):
        find(database, wanted)


def test_one_model_at_most_is_on_trial(database: Database) -> None:
    register(database, model("1.0.0"), model("2.0.0"))
    for version in ("1.0.0", "2.0.0", None):
        with database.begin() as session:
            chosen = registry.find(session, version) if version else None
            registry.set_shadow(session, chosen)
            on_trial = registry.shadow(session)
        assert (on_trial.version if on_trial else None) == version


def test_registering_at_once_keeps_every_version(database: Database) -> None:
    versions = [model(f"{number}.0.0") for number in range(1, 7)]
    together.run(threads=[(register, (database, version)) for version in versions])
    with database.read() as session:
        assert len(registry.list_versions(session)) == len(versions)
