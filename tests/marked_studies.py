"""Studies in a node's store with what a model said of them and how they are marked."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import analysed_node
import builders
from agent import bootstrap, examination, models_in_use, settings
from agent.model_toml import ModelDescription
from analysed_node import NOW
from storage import feedback, results, studies
from storage.database import Database
from storage.enums import Mark, Outcome, Pattern
from storage.records import Analysis, Feedback, SeriesUid, StudyKey, StudyUid
from storage.store import Store
from verdicts import ANALYSIS


def keep(
    config: Path,
    name: str,
    score: float,
    mark: Mark | None,
    *,
    patient: str = "",
    trial: ModelDescription | None = None,
    **changes: object,
) -> StudyKey:
    """One study that the active model has read, or the one on `trial` too, with the same score.

    `changes` are other words in the row of the analysis. Each study is of a patient of its own
    unless one is named.
    """
    values = settings.load(config)
    storage = bootstrap.open_storage(values)
    with closing(storage.database) as database:
        bootstrap.open_models(values, storage)
        key = _receive(database, storage.store, config.parent / "sent" / name, name, patient)
        with database.begin() as session:
            described = models_in_use.described_in_force(session, bootstrap.model_store(values))
            said = replace(_said(described, name, score), **changes)  # type: ignore[arg-type]
            results.save_analysis(session, key, said, [])
            if trial is not None:
                tried = replace(_said(trial, name, score), series_uid=said.series_uid)
                results.save_analysis(session, key, tried, [], shadow=True)
            if mark is not None:
                feedback.mark(session, _mark(key, mark))
    return key


def _receive(database: Database, store: Store, sent: Path, name: str, patient: str) -> StudyKey:
    sent.mkdir(parents=True)
    images = []
    drawn = builders.flair_series(slices=10, rows=32, columns=32, study=name)
    for number, dataset in enumerate(drawn):
        dataset.PatientID = patient or name
        dataset.save_as(sent / f"{number}.dcm", enforce_file_format=True)
        images.append(analysed_node.received(store, sent / f"{number}.dcm"))
    with database.begin() as session:
        (key,) = studies.record_instances(session, images)
        studies.complete(session, key, evidence="test", now=NOW)
    return key


def _said(described: ModelDescription, name: str, score: float) -> Analysis:
    called = score >= described.thresholds.slice
    return replace(
        ANALYSIS,
        outcome=Outcome.ABNORMAL if called else Outcome.NO_ABNORMALITY,
        series_uid=SeriesUid(builders.uid("series", name, "flair")),
        study_score=score,
        slice_scores=(0.0, score / 2, score),
        slice_p_values=(1.0, 0.5, 0.1),
        pattern=Pattern.WHITE_MATTER if called else Pattern.NONE,
        model_name=described.name,
        model_version=described.version,
        model_sha256=described.digest,
        threshold_version=described.thresholds.version,
        code_version=examination.CODE_VERSION,
        created_at=NOW,
        scanner="Philips Achieva 17",
    )


def _mark(key: StudyKey, mark: Mark) -> Feedback:
    uid, _, revision = key.rpartition("#")
    return Feedback(
        study_uid=StudyUid(uid), revision=int(revision), mark=mark, note="", by="ada", at=NOW
    )
