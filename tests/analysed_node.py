"""A node's data folder in which the demo study was received and read by the shipped model."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom

import demo_study
from agent import bootstrap, settings
from agent.composition import Appearance
from agent.dicom import part10
from agent.dicom.objects.profiles import Profile, Slices
from agent.steps import AnalysisSteps
from mr_headers import NAMESPACE
from storage import results, studies
from storage.database import open_database
from storage.enums import Priority
from storage.records import Instance, SeriesUid, SopUid, StudyKey, StudyUid
from storage.store import Store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Change = Callable[[AnalysisSteps], AnalysisSteps]


def received(store: Store, path: Path) -> Instance:
    """An image of a file, as the listener keeps it."""
    content = path.read_bytes()
    parsed = part10.parse(content)
    header = pydicom.dcmread(path, stop_before_pixels=True)
    digest = part10.content_sha256(parsed.encoded, parsed.transfer_syntax_uid)
    kept, _ = store.keep_image(str(header.StudyInstanceUID), digest, [content])
    return Instance(
        study_uid=StudyUid(str(header.StudyInstanceUID)),
        series_uid=SeriesUid(str(header.SeriesInstanceUID)),
        sop_uid=SopUid(str(header.SOPInstanceUID)),
        sop_class_uid=str(header.SOPClassUID),
        transfer_syntax_uid=parsed.transfer_syntax_uid,
        source_ae="PACS",
        priority=Priority.ROUTINE,
        path=kept,
        content_sha256=digest,
        received_at=NOW,
    )


def configured(folder: Path) -> Path:
    """A configuration whose data lie beside it."""
    file = folder / "agent.toml"
    data = (folder / "data").as_posix()
    file.write_text(
        f'[node]\ndata_dir = "{data}"\nport = 0\nreserve_gb = 0.0\nwatermark_percent = 100.0\n'
        '[model]\nprovider = "cpu"\n',
        encoding="utf-8",
    )
    return file


def analysed(config: Path, change: Change = lambda steps: steps) -> StudyKey:
    """Receive the demo study in a configured node and read it."""
    values = settings.load(config)
    storage = bootstrap.open_storage(values)
    with closing(storage.database):
        steps = AnalysisSteps(
            database=storage.database,
            store=storage.store,
            models=bootstrap.open_models(values, storage),
            rules=bootstrap.series_rules(values),
            appearance=Appearance(namespace=NAMESPACE, profile=Profile(heatmap=Slices.OFF)),
            profiles={},
        )
        with storage.database.begin() as session:
            images = [received(storage.store, path) for path in demo_study.IMAGES]
            (key,) = studies.record_instances(session, images)
            studies.complete(session, key, evidence="No image came for 10 s.", now=NOW)
        for _, step in change(steps).in_order:
            step(key)
    return key


def copied(template: Path, folder: Path) -> Path:
    """A node of its own with the data of another; the path of its configuration."""
    shutil.copytree(template / "data", folder / "data")
    return configured(folder)


def change_analysis(config: Path, key: StudyKey, **values: object) -> None:
    """Another word in the row of an analysis, as if it had been read so."""
    database = open_database(settings.load(config).database_url)
    with closing(database), database.begin() as session:
        said = results.analysis_of(session, key)
        assert said is not None
        changed = replace(said, **values)  # type: ignore[arg-type]
        results.save_analysis(session, key, changed, results.lesions_of(session, key))
