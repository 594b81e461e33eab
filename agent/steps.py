"""The steps of an analysis, in order. Each is idempotent; none knows the engine that runs it."""

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from agent import composition, examination
from agent.composition import Appearance
from agent.dicom import series
from agent.dicom.objects.profiles import Profile
from agent.drift_watch import Hold, never
from agent.errors import AgentError
from agent.examination import Examination, Reading
from agent.imaging import archive
from agent.imaging.results import Findings, NotAnalysed, Reason
from agent.inference import AnomalyModel
from agent.lately import Lately
from storage import results, studies
from storage.database import Database
from storage.enums import TERMINAL_STATES, Outcome, Role, StudyState
from storage.errors import NotFound
from storage.records import Analysis, ResultObject, SeriesUid, SopUid, StoredFile, Study, StudyKey
from storage.store import Store

FINDINGS_FILE = "findings.npz"
STUDIES_REMEMBERED = 2
_PAST_ANALYSIS = TERMINAL_STATES | {StudyState.COMPOSED, StudyState.DELIVERING}


class Models(Protocol):
    """Where the steps get a model from."""

    def __call__(self, folder: str | None, /) -> AnomalyModel:
        """The model in a folder; for None the one in force."""

    def on_trial(self) -> AnomalyModel | None:
        """The model that reads every study too, for comparison."""

    def at_hand(self) -> AnomalyModel:
        """A model to name in a report when the wanted one cannot be loaded."""


@dataclass(frozen=True, kw_only=True)
class AnalysisSteps:
    """What happens to a study between its last image and its results on disk.

    `profiles` says what each destination gets; without any destination `appearance` holds what is
    built. `hold` says whose studies wait. `readings` and `findings` spare a step what the one
    before it has read or found in this process: a study that goes on elsewhere is read again.
    """

    database: Database
    store: Store
    models: Models
    rules: series.SeriesRules
    appearance: Appearance
    profiles: Mapping[str, Profile]
    hold: Hold = never
    readings: Lately[Reading] = field(default_factory=lambda: Lately(STUDIES_REMEMBERED))
    findings: Lately[Findings] = field(default_factory=lambda: Lately(STUDIES_REMEMBERED))

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
            wanted = studies.get(session, key).model_folder
            if _is_read(session, key):
                return
        model = self.models(wanted)
        reading = self._read(key)
        result = self._held(reading, model) or examination.examine(reading, model).result
        with self.database.begin() as session:
            studies.get(session, key, lock=True)
            # A worker that was frozen comes back after another has read the study, and perhaps
            # built results from what that one said: the first word holds.
            if _is_read(session, key):
                return
            if isinstance(result, Findings):
                self._keep_findings(key, result)
            self._save(session, key, reading, result, model)

    def try_shadow(self, key: StudyKey) -> None:
        """Let the model on trial read the study as well; nothing of that leaves the node."""
        model = self.models.on_trial()
        if model is None:
            return
        reading = self._read(key)
        result = examination.examine(reading, model).result
        with self.database.begin() as session:
            self._save(session, key, reading, result, model, shadow=True)

    def compose(self, key: StudyKey) -> None:
        """Build the result objects once; a later attempt sends the same ones."""
        self._compose(key, error=None)

    def give_up(self, key: StudyKey, why: str) -> None:
        """Compose the report that says the analysis failed: silence would read as normal."""
        with self.database.begin() as session:
            if studies.get(session, key).state in _PAST_ANALYSIS:
                return  # what was composed stands, only its way out was broken
            wanted = studies.advance(session, key, StudyState.ANALYSING, now=_now()).model_folder
            earlier = results.analysis_of(session, key)
        if earlier is None or earlier.reason_code != Reason.TECHNICAL_FAILURE:
            failure = NotAnalysed(reason=Reason.TECHNICAL_FAILURE, sentence=why)
            reading, model = self._read(key), self._model_at_hand(wanted)
            with self.database.begin() as session:
                self._save(session, key, reading, failure, model)
        self._compose(key, error=why)

    def _held(self, reading: Reading, model: AnomalyModel) -> NotAnalysed | None:
        """Why a study that could be read is not; None where nothing speaks against it."""
        if reading.choice.series_uid is None:
            return None
        why = self.hold(examination.scanner(reading), model.description)
        return NotAnalysed(reason=Reason.DRIFTED_SCANNER, sentence=why) if why else None

    def _model_at_hand(self, folder: str | None) -> AnomalyModel:
        """The wanted model; the one that was last in force where that cannot even be loaded."""
        try:
            return self.models(folder)
        except AgentError:
            return self.models.at_hand()

    def _compose(self, key: StudyKey, *, error: str | None) -> None:
        with self.database.read() as session:
            analysis = results.analysis_of(session, key)
            study = studies.get(session, key)
            current = results.objects_of(session, key)
        if analysis is None:
            raise NotFound(f"There is no analysis of {key} to build results from.")
        built = {item.sop_uid for item in current}
        wanted = {
            composition.report_uid(study.study_uid, analysis, self._look(profile)): profile
            for profile in self.profiles.values() or (self.appearance.profile,)
        }
        missing = {uid: profile for uid, profile in wanted.items() if uid not in built}
        if missing:
            kept = {profile.digest for uid, profile in wanted.items() if uid in built}
            objects = [item for item in current if item.profile in kept]
            objects += self._build(key, study, analysis, missing)
            with self.database.begin() as session:
                results.save_objects(session, key, objects)
        with self.database.begin() as session:
            studies.advance(session, key, StudyState.COMPOSED, now=_now(), error=error)
        self.readings.take(analysis.input_sha256)

    def _read(self, key: StudyKey) -> Reading:
        with self.database.read() as session:
            instances = studies.instances_of(session, key)
        digest = examination.input_digest(key, instances)
        reading = self.readings.get(digest)
        if reading is None or not reading.is_at_hand:
            paths = self.store.paths_of(instance.path for instance in instances)
            reading = examination.read(paths, self.rules)
            if not reading.damaged:  # the next try may find the disk well again
                self.readings.put(digest, reading)
        return reading

    def _save(
        self,
        session: Session,
        key: StudyKey,
        reading: Reading,
        result: Findings | NotAnalysed,
        model: AnomalyModel,
        *,
        shadow: bool = False,
    ) -> None:
        inputs = studies.instances_of(session, key)
        analysis = examination.record(
            reading,
            result,
            model,
            input_sha256=examination.input_digest(key, inputs),
            created_at=_now(),
        )
        found = examination.lesions(reading.study_uid, result, analysis, self.appearance.namespace)
        results.save_analysis(session, key, analysis, found, shadow=shadow)

    def _build(
        self, key: StudyKey, study: Study, analysis: Analysis, wanted: Mapping[SopUid, Profile]
    ) -> list[ResultObject]:
        """Build what each profile gets, by the UID of its report, and keep the files."""
        reading = self._read(key)
        examined = self._restore(key, reading, analysis)
        stored = []
        with self.store.keeping_results(key) as keep:
            for report_uid, profile in wanted.items():
                objects = composition.compose(
                    reading,
                    examined,
                    analysis,
                    self._look(profile),
                    completion_evidence=study.completion_evidence or "",
                    replaces=self._replaced(key, report_uid, profile),
                )
                for role, dataset in objects:  # one at a time: all may be more than memory likes
                    stored.append(_stored(keep, role, profile, dataset))
        return stored

    def _look(self, profile: Profile) -> Appearance:
        return replace(self.appearance, profile=profile)

    def _replaced(
        self, key: StudyKey, report_uid: SopUid, profile: Profile
    ) -> tuple[ResultObject, ...]:
        """What already stands at the destinations of a profile."""
        names = [name for name, one in self.profiles.items() if one == profile]
        with self.database.read() as session:
            return results.replaced_by(
                session, key, report_uid=report_uid, profile=profile.digest, destinations=names
            )

    def _restore(self, key: StudyKey, reading: Reading, analysis: Analysis) -> Examination:
        if analysis.outcome is Outcome.NOT_ANALYSED:
            reason = Reason(analysis.reason_code or Reason.TECHNICAL_FAILURE)
            refused = NotAnalysed(reason=reason, sentence=analysis.reason or "")
            return Examination(loaded=None, result=refused)
        data = self.store.read(self.store.result_path(key, FINDINGS_FILE))
        # By their bytes: what another worker has written meanwhile is what counts.
        found = self.findings.take(hashlib.sha256(data).hexdigest())
        return Examination(loaded=reading.loaded, result=found or archive.from_bytes(data))

    def _keep_findings(self, key: StudyKey, found: Findings) -> None:
        kept = self.store.keep_result(key, FINDINGS_FILE, archive.to_bytes(found))
        self.findings.put(kept.sha256, found)


def _stored(
    keep: Callable[[str, bytes], StoredFile], role: Role, profile: Profile, dataset: Dataset
) -> ResultObject:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    kept = keep(f"{role.value.lower()}-{dataset.SOPInstanceUID}.dcm", buffer.getvalue())
    return ResultObject(
        sop_uid=SopUid(str(dataset.SOPInstanceUID)),
        sop_class_uid=str(dataset.SOPClassUID),
        series_uid=SeriesUid(str(dataset.SeriesInstanceUID)),
        role=role,
        profile=profile.digest,
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        path=kept.path,
        sha256=kept.sha256,
        size_bytes=kept.size_bytes,
    )


def _is_read(session: Session, key: StudyKey) -> bool:
    """Whether an analysis of the revision stands; one that failed does not."""
    earlier = results.analysis_of(session, key)
    return earlier is not None and earlier.reason_code != Reason.TECHNICAL_FAILURE


def _now() -> datetime:
    return datetime.now(UTC)
