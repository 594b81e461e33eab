"""`neurosieve backup` and `restore`: whole copies only, into empty places only."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import analysed_node
from agent import audit_trail, backup, bootstrap, settings
from agent.errors import ConfigurationError
from agent.retention import no_removal
from command import done, run
from storage.database import open_database


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analysed")
    analysed_node.analysed(analysed_node.configured(folder))
    return folder


@pytest.fixture
def config(tmp_path: Path, template: Path) -> Path:
    (tmp_path / "node").mkdir()
    return analysed_node.copied(template, tmp_path / "node")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The configuration of a node that is still empty."""
    (tmp_path / "other").mkdir()
    return analysed_node.configured(tmp_path / "other")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".db" not in path.name and not path.name.endswith(".lock")
    }


def rows(config: Path) -> list[object]:
    return json.loads(done(config, "studies", "list", "--json"))  # type: ignore[no-any-return]


def test_what_is_restored_is_what_was_saved(config: Path, other: Path, tmp_path: Path) -> None:
    before = contents(config.parent / "data")
    said = done(config, "backup", tmp_path / "saved")
    assert "were read again" in said
    done(other, "restore", tmp_path / "saved")
    assert contents(other.parent / "data") == before
    assert rows(other) == rows(config)
    assert "every seal holds" in done(other, "audit", "verify")
    key = rows(other)[0]["study"]  # type: ignore[index]
    assert "is the same to the last bit" in " ".join(done(other, "studies", "replay", key).split())
    assert (tmp_path / "saved" / "configuration" / "agent.toml").read_text() == config.read_text()


def test_a_backup_is_in_the_audit_and_for_its_owner_only(config: Path, tmp_path: Path) -> None:
    done(config, "backup", tmp_path / "saved")
    (event, *_) = json.loads(done(config, "audit", "list", "--json"))
    assert event["action"] == audit_trail.BACKED_UP
    assert (tmp_path / "saved").stat().st_mode & 0o777 == 0o700


def test_images_of_an_earlier_backup_are_linked(config: Path, other: Path, tmp_path: Path) -> None:
    done(config, "backup", tmp_path / "first")
    assert "linked" in done(config, "backup", tmp_path / "second", "--onto", tmp_path / "first")
    images = list((tmp_path / "second" / "data" / "images").rglob("*.dcm"))
    assert images
    assert all(path.stat().st_nlink == 2 for path in images)
    shutil.rmtree(tmp_path / "first")
    done(other, "restore", tmp_path / "second")
    assert rows(other) == rows(config)


@pytest.mark.parametrize("kind", ["changed", "gone", "broken off"])
def test_a_damaged_backup_is_not_restored(
    config: Path, other: Path, tmp_path: Path, kind: str
) -> None:
    saved = tmp_path / "saved"
    done(config, "backup", saved)
    image = next((saved / "data" / "images").rglob("*.dcm"))
    if kind == "changed":
        image.write_bytes(image.read_bytes()[:-1] + b"?")
    elif kind == "gone":
        image.unlink()
    else:
        (saved / "manifest.json").unlink()
    refused = run(other, "restore", saved)
    assert refused.exit_code == 1
    assert not (other.parent / "data").exists()


def test_nothing_is_written_over(config: Path, other: Path, tmp_path: Path) -> None:
    done(config, "backup", tmp_path / "saved")
    for asked in (
        (config, "backup", tmp_path / "saved"),
        (config, "restore", tmp_path / "saved"),
        (config, "backup", config.parent / "data" / "inside"),
        (other, "backup", tmp_path / "nothing"),
    ):
        refused = run(*asked)
        assert refused.exit_code == 1, asked
        assert refused.stderr.startswith("neurosieve: ")


def test_a_restore_that_was_broken_off_is_not_taken_for_a_node(
    config: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would begin anew with an empty database."""
    done(config, "backup", tmp_path / "saved")

    def power_cut(url: str, file: Path) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr("storage.snapshot.load", power_cut)
        assert run(other, "restore", tmp_path / "saved").exit_code == 1
    with pytest.raises(ConfigurationError, match="has not ended"):
        bootstrap.open_storage(settings.load(other))
    assert "not empty" in run(other, "restore", tmp_path / "saved").stderr
    shutil.rmtree(other.parent / "data")
    done(other, "restore", tmp_path / "saved")
    assert rows(other) == rows(config)


def test_a_file_that_only_the_database_knows_is_named(config: Path, tmp_path: Path) -> None:
    image = next((config.parent / "data" / "images").rglob("*.dcm"))
    image.unlink()
    result = run(config, "backup", tmp_path / "saved")
    assert result.exit_code == 0
    assert image.name in result.stderr


def test_a_database_in_use_is_copied_without_what_is_not_committed(
    config: Path, tmp_path: Path
) -> None:
    live = sqlite3.connect(config.parent / "data" / "neurosieve.db", isolation_level=None)
    live.execute("BEGIN IMMEDIATE")
    live.execute("UPDATE study SET source_ae = 'OTHER'")
    place = backup.Place(
        database_url=f"sqlite:///{config.parent / 'data' / 'neurosieve.db'}",
        data_dir=config.parent / "data",
        configuration=None,
    )
    backup.make(place, tmp_path / "saved")
    live.execute("ROLLBACK")
    live.close()
    copy = sqlite3.connect(tmp_path / "saved" / "database" / "neurosieve.db")
    assert copy.execute("SELECT DISTINCT source_ae FROM study").fetchall() == [("PACS",)]
    copy.close()


def test_no_file_is_removed_while_a_backup_is_made(config: Path) -> None:
    database = open_database(f"sqlite:///{config.parent / 'data' / 'neurosieve.db'}")
    with closing(database), no_removal(database, config.parent / "data"):
        refused = run(config, "retention", "run")
    assert refused.exit_code == 1
    assert "backed up at this moment" in refused.stderr
    done(config, "retention", "run")
