"""A scanner that has drifted: told by the command, held back if wanted, and released."""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import analysed_node
import demo_study
from agent import bootstrap, examination, models_in_use, settings
from agent.dicom.series import SeriesRules
from agent.drift_watch import DriftWatch
from agent.model_toml import ModelDescription
from command import run
from received import image
from storage import activations, results, studies, thresholds
from storage.database import Database
from storage.enums import Outcome, Role
from storage.model_records import ThresholdSet
from verdicts import ANALYSIS

NOW = datetime(2026, 9, 15, tzinfo=UTC)
SCANNER = "Philips Achieva 17"
CALIBRATION = tuple(float(score) for score in np.linspace(1.0, 3.0, 40))
STEADY, HIGH = CALIBRATION[::2], tuple(5.0 + score for score in CALIBRATION[:25])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    data = (tmp_path / "data").as_posix()
    file.write_text(
        f'[node]\ndata_dir = "{data}"\nport = 0\nreserve_gb = 0.0\nwatermark_percent = 100.0\n',
        encoding="utf-8",
    )
    return file


@contextmanager
def node(config: Path) -> Iterator[tuple[Database, DriftWatch]]:
    values = settings.load(config)
    storage = bootstrap.open_storage(values)
    bootstrap.open_models(values, storage)
    yield storage.database, bootstrap.drift_watch(values, storage.database)
    storage.database.close()


def calibrate(database: Database, version: str = "site") -> None:
    with database.begin() as session:
        current = activations.in_force(session)
        assert current is not None
        made = ThresholdSet(
            model_name=current.model_name,
            model_version=current.model_version,
            version=version,
            pixel=0.5,
            slice=2.0,
            minimum_volume_ml=0.5,
            slice_reference=CALIBRATION,
            study_reference=CALIBRATION,
            operating_point="test",
            made_at=NOW,
            made_by="ada",
            why="test",
        )
        activations.use_thresholds(session, thresholds.add(session, made))


def in_force(database: Database, watch: DriftWatch) -> ModelDescription:
    with database.read() as session:
        return models_in_use.described_in_force(session, watch.store)


def receive(database: Database, watch: DriftWatch, scores: tuple[float, ...], of: str) -> None:
    """Studies of a scanner, analysed by what is in force."""
    described = in_force(database, watch)
    for number, score in enumerate(scores):
        said = replace(
            ANALYSIS,
            outcome=Outcome.NO_ABNORMALITY,
            study_score=score,
            scanner=of,
            model_sha256=described.digest,
            threshold_version=described.thresholds.version,
            created_at=NOW,
        )
        with database.begin() as session:
            uid = f"1.2.{zlib.crc32(of.encode())}.{number}"
            (key,) = studies.record_instances(session, [image(study=uid, received_at=NOW)])
            studies.complete(session, key, evidence="test", now=NOW)
            results.save_analysis(session, key, said, [])


def test_a_scanner_that_drifted_is_told_and_the_others_are_not(config: Path) -> None:
    with node(config) as (database, watch):
        calibrate(database)
        receive(database, watch, STEADY, "Avanto 3")
        receive(database, watch, HIGH, SCANNER)
        (alarm,) = watch.alarms()
    assert alarm.startswith(f"The scores of {SCANNER} in 2026-09 are higher than")
    result = run(config, "drift", "--json")
    assert result.exit_code == 0
    rows = {row["scanner"]: row for row in json.loads(result.stdout)}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "Avanto 3": "steady",
        SCANNER: "too high",
    }
    assert rows[SCANNER]["studies"] == 25
    assert rows[SCANNER]["p"] < 0.001
    assert "Against 40 tumour-free studies" in run(config, "drift").stdout


def test_the_shipped_reference_is_too_small_and_says_so(config: Path) -> None:
    with node(config) as (database, watch):
        receive(database, watch, HIGH, SCANNER)
        assert watch.alarms() == ()
        assert watch.hold(SCANNER, in_force(database, watch)) is None
    shown = run(config, "drift")
    assert shown.exit_code == 0
    assert "10 studies are too few to say anything" in shown.stdout
    (row,) = json.loads(run(config, "drift", "--json").stdout)
    assert (row["verdict"], row["p"]) == ("reference too small", None)


def test_studies_are_held_until_a_new_calibration(config: Path) -> None:
    with node(config) as (database, watch):
        calibrate(database)
        receive(database, watch, HIGH, SCANNER)
        before = in_force(database, watch)
        why = watch.hold(SCANNER, before)
        assert why is not None
        assert "calibrated anew or an administrator releases the scanner" in why
        assert watch.hold("Avanto 3", before) is None
        calibrate(database, "anew")
        assert watch.hold(SCANNER, in_force(database, watch)) is None
        assert watch.alarms() == ()


def test_a_released_scanner_is_no_longer_held_and_the_audit_knows_who(config: Path) -> None:
    with node(config) as (database, watch):
        calibrate(database)
        receive(database, watch, HIGH, SCANNER)
        assert watch.hold(SCANNER, in_force(database, watch)) is not None
        result = run(config, "drift", "release", "achieva", "--why", "another coil")
        assert result.exit_code == 0, result.output
        assert watch.hold(SCANNER, in_force(database, watch)) is None
    (event,) = json.loads(run(config, "audit", "list", "--json").stdout)
    assert (event["action"], event["subject"]) == ("scanner released", SCANNER)
    assert event["detail"] == "another coil"


def test_a_scanner_without_scores_cannot_be_released(config: Path) -> None:
    result = run(config, "drift", "release", "Ingenia")
    assert result.exit_code == 1
    assert "No scanner is called Ingenia" in result.output


def test_the_next_study_of_a_drifted_scanner_gets_a_report_that_it_waits(config: Path) -> None:
    """The demo study, received and read through the real steps."""
    scanner = examination.scanner(examination.read(demo_study.IMAGES, SeriesRules()))
    assert scanner is not None
    with node(config) as (database, watch):
        calibrate(database)
        receive(database, watch, HIGH, scanner)
    held = settings.load(config).model_copy(update={"drift": settings.DriftSettings(hold=True)})
    with node(config) as (database, watch):
        key = analysed_node.analysed(
            config,
            lambda steps: replace(steps, hold=bootstrap.hold(held, steps.database)),
        )
        with database.read() as session:
            said = results.analysis_of(session, key)
            (report,) = results.objects_of(session, key)
    assert said is not None
    assert (said.outcome, said.reason_code) == (Outcome.NOT_ANALYSED, "DRIFTED_SCANNER")
    assert report.role is Role.REPORT
    assert "releases the scanner" in (said.reason or "")


def test_nothing_is_held_unless_the_site_wants_that(config: Path) -> None:
    with node(config) as (database, watch):
        calibrate(database)
        receive(database, watch, HIGH, SCANNER)
        hold = bootstrap.hold(settings.load(config), database)
        assert hold(SCANNER, in_force(database, watch)) is None
