"""The steps of an analysis, in order. Each is idempotent; none knows the engine that runs it."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydicom.dataset import Dataset

from agent import examination
from agent.dicom import series, volumes
from agent.examination import Appearance, Examination, Reading
from agent.imaging import archive
from agent.imaging.results import Findings, NotAnalysed, Reason
from agent.inference import AnomalyModel
from storage import results, studies
from storage.database import Database
from storage.errors import NotFound
from storage.files import FileStore
from storage.records import (
    TERMINAL_STATES,
    Analysis,
    Instance,
    Outcome,
    ResultObject,
    Role,
    SeriesUid,
    SopUid,
    StudyKey,
    StudyState,
)

FINDINGS_FILE = "findings.npz"
_PAST_ANALYSIS = TERMINAL_STATES | {StudyState.COMPOSED, StudyState.DELIVERING}


@dataclass(frozen=True, kw_only=True)
class AnalysisSteps:
    """What happens to a study between its last image and its results on disk."""

    database: Database
    store: FileStore
    model: AnomalyModel
    rules: series.SeriesRules
    appearance: Appearance

    @property
    def in_order(self) -> Iterable[tuple[str, Callable[[StudyKey], None]]]:
        """The named steps."""
        return (("assemble", self.assemble), ("analyse", self.analyse), ("compose", self.compose))

    def assemble(self, key: StudyKey) -> None:
        """Choose the series to read and keep the reasons."""
        reading = self._read(key)
        with self.database.begin() as session:
            studies.advance(session, key, StudyState.ANALYSING, now=_now())
            studies.save_series_decisions(session, key, reading.choice.decisions)

    def analyse(self, key: StudyKey) -> None:
        """Run the model, unless an earlier attempt already did, and keep what it said."""
        with self.database.read() as session:
            earlier = results.analysis_of(session, key)
        if earlier is not None and earlier.reason_code != Reason.TECHNICAL_FAILURE:
            return
        reading = self._read(key)
        result = examination.examine(reading, self.model).result
        if isinstance(result, Findings):
            self._keep(key, FINDINGS_FILE, archive.to_bytes(result))
        self._record(key, reading, result)

    def compose(self, key: StudyKey) -> None:
        """Build the result objects once; a later attempt sends the same ones."""
        self._compose(key, error=None)

    def give_up(self, key: StudyKey, why: str) -> None:
        """Compose the report that says the analysis failed: silence would read as normal."""
        with self.database.begin() as session:
            if studies.get(session, key).state in _PAST_ANALYSIS:
                return  # what was composed stands, only its way out was broken
            studies.advance(session, key, StudyState.ANALYSING, now=_now())
            earlier = results.analysis_of(session, key)
        if earlier is None or earlier.reason_code != Reason.TECHNICAL_FAILURE:
            failure = NotAnalysed(reason=Reason.TECHNICAL_FAILURE, sentence=why)
            self._record(key, self._read(key), failure)
        self._compose(key, error=why)

    def _compose(self, key: StudyKey, *, error: str | None) -> None:
        with self.database.read() as session:
            analysis = results.analysis_of(session, key)
            study = studies.get(session, key)
            built = {item.sop_uid for item in results.objects_of(session, key)}
        if analysis is None:
            raise NotFound(f"There is no analysis of {key} to build results from.")
        report_uid = examination.report_uid(study.study_uid, analysis, self.appearance)
        if report_uid not in built:
            self._build(key, analysis, evidence=study.completion_evidence or "")
        with self.database.begin() as session:
            studies.advance(session, key, StudyState.COMPOSED, now=_now(), error=error)

    def _read(self, key: StudyKey) -> Reading:
        with self.database.read() as session:
            instances = studies.instances_of(session, key)
        paths = [self.store.path_of(instance.path) for instance in instances]
        return examination.read(paths, self.rules)

    def _record(self, key: StudyKey, reading: Reading, result: Findings | NotAnalysed) -> None:
        with self.database.begin() as session:
            inputs = studies.instances_of(session, key)
            analysis = examination.record(
                reading,
                result,
                self.model,
                input_sha256=_digest(key, inputs),
                created_at=_now(),
            )
            found = examination.lesions(reading.study_uid, result, analysis, self.appearance)
            results.save_analysis(session, key, analysis, found)

    def _build(self, key: StudyKey, analysis: Analysis, *, evidence: str) -> None:
        reading = self._read(key)
        objects = examination.compose(
            reading,
            self._restore(key, reading, analysis),
            analysis,
            self.appearance,
            completion_evidence=evidence,
        )
        stored = [self._store(key, role, dataset) for role, dataset in objects]
        with self.database.begin() as session:
            results.save_objects(session, key, stored)

    def _restore(self, key: StudyKey, reading: Reading, analysis: Analysis) -> Examination:
        if analysis.outcome is Outcome.NOT_ANALYSED:
            reason = Reason(analysis.reason_code or Reason.TECHNICAL_FAILURE)
            refused = NotAnalysed(reason=reason, sentence=analysis.reason or "")
            return Examination(loaded=None, result=refused)
        data = self.store.read(self.store.result_path(key, FINDINGS_FILE))
        return Examination(loaded=volumes.load(reading.paths), result=archive.from_bytes(data))

    def _store(self, key: StudyKey, role: Role, dataset: Dataset) -> ResultObject:
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        name = f"{role.value.lower()}-{dataset.SOPInstanceUID}.dcm"
        kept = self.store.keep_result(key, name, buffer.getvalue())
        return ResultObject(
            sop_uid=SopUid(str(dataset.SOPInstanceUID)),
            sop_class_uid=str(dataset.SOPClassUID),
            series_uid=SeriesUid(str(dataset.SeriesInstanceUID)),
            role=role,
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            path=kept.path,
            sha256=kept.sha256,
            size_bytes=kept.size_bytes,
        )

    def _keep(self, key: StudyKey, name: str, data: bytes) -> None:
        self.store.keep_result(key, name, data)


def _digest(key: StudyKey, inputs: Sequence[Instance]) -> str:
    """What the result rests on. The key is in it: no revision shares its UIDs with another."""
    return examination.digest([key, *(f"{one.sop_uid} {one.content_sha256}" for one in inputs)])


def _now() -> datetime:
    return datetime.now(UTC)
