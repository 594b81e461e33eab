"""A database as it is after months: studies that have ended, and the few that are under way.

Made by the database itself out of a row of numbers, so that ten million images take minutes. UIDs
and digests are scrambled, for indexes fill in no order in production either. Seals of the audit and
digests are of the right length and mean nothing.
"""

import base64
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dbos import run_dbos_database_migrations
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from storage import tables
from storage.database import Database
from storage.records import StudyUid

IMAGES = 100  # of a study
OBJECTS = 5
ROOT = "1.2.826.0.1.3680043.8.498."
DESTINATION = "pacs"
STUDIES_A_DAY = 500  # the last one came just now
MODEL, THRESHOLDS = "a" * 64, "own"  # that read them
UNDER_WAY = ("RECEIVING", "RECEIVING", "RECEIVING", "COMPLETE", "COMPLETE", "DELIVERING")

_MR = "1.2.840.10008.5.1.4.1.1.4"
_EXPLICIT = "1.2.840.10008.1.2.1"
_SCORES = str([0.125 * (number % 17) for number in range(28)])
_INPUTS = base64.b64encode(pickle.dumps({"args": ("key",), "kwargs": {}})).decode()
_ROLES = "CASE o.k WHEN 1 THEN 'REPORT' WHEN 2 THEN 'SEGMENTATION' ELSE 'HEATMAP' END"


@dataclass(frozen=True, kw_only=True)
class _Words:
    """How one of the two databases says it."""

    sqlite: bool
    read_by: tuple[str, str]
    newest: datetime = field(default_factory=lambda: datetime.now(UTC))

    def numbers(self, name: str, count: int) -> str:
        if not self.sqlite:
            return f"generate_series(1, {count}) AS {name}(k)"
        return (
            "(WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < "
            f"{count}) SELECT k FROM n) AS {name}"
        )

    def scrambled(self, number: str) -> str:
        """Another number below 2^32 for each number below 2^32."""
        return f"(({number}) * 2654435761 % 4294967296)"

    def digest(self, number: str) -> str:
        """64 hexadecimal digits."""
        digits = (
            f"printf('%08x', {self.scrambled(number)})"
            if self.sqlite
            else f"lpad(to_hex({self.scrambled(number)}), 8, '0')"
        )
        return f"({'||'.join([digits] * 2)} || '{'0123456789abcdef' * 3}')"

    def time(self, seconds: str) -> str:
        if self.sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%f000', {seconds}, 'unixepoch')"
        return f"to_timestamp({seconds})"

    def true(self, value: bool) -> str:
        return str(int(value)) if self.sqlite else str(value).lower()


def study_uid(number: int) -> StudyUid:
    """The UID of the study of that number, from 1; the last `len(UNDER_WAY)` are under way."""
    scrambled = number * 2654435761 % 4294967296
    return StudyUid(f"{ROOT}{1000000000 + scrambled}.20260101{1000000000 + scrambled}")


def fill(
    database: Database,
    *,
    studies: int,
    images: int = IMAGES,
    read_by: tuple[str, str] = (MODEL, THRESHOLDS),
) -> None:
    """Make so many studies in a migrated database without any; the engine's rows of them too.

    `read_by` is the digest of the model that read them, and the version of its thresholds.
    """
    run_dbos_database_migrations(system_database_url=database.url)
    sqlite = database.engine.dialect.name == "sqlite"
    words = _Words(sqlite=sqlite, read_by=read_by)
    with _quickly(database) as connection:
        for statement in _statements(words, studies, images):
            connection.execute(text(statement.replace(":", r"\:")))
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")


def is_filled(session: Session) -> bool:
    """Whether any study is there."""
    return session.scalar(select(tables.study.c.study_uid).limit(1)) is not None


def megabytes(database: Database) -> float:
    """What the database takes on the disk."""
    of_it = "pg_database_size(current_database())"
    if database.engine.dialect.name == "sqlite":
        of_it = "(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)"
    with database.read() as session:
        return float(session.execute(text(f"SELECT {of_it}")).scalar_one()) / 1e6


@contextmanager
def _quickly(database: Database) -> Iterator[Connection]:
    """Without waiting for the disk, and without the indexes of the largest table."""
    indexes = list(tables.instance.indexes)
    with database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ROLLBACK")
            for pragma in (
                *("journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF"),
                *("foreign_keys=OFF", "cache_size=-400000"),
            ):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '512MB'")
        for index in indexes:
            index.drop(connection, checkfirst=True)
        yield connection
        for index in indexes:
            index.create(connection)
        connection.commit()
    database.engine.dispose()


def _statements(words: _Words, count: int, images: int) -> Iterator[str]:
    done = count - len(UNDER_WAY)
    step = timedelta(days=1) / STUDIES_A_DAY / timedelta(seconds=1)
    begin = words.newest.timestamp() - count * step
    scrambled = words.scrambled("s.k")
    uid = f"('{ROOT}' || (1000000000 + {scrambled}) || '.20260101' || (1000000000 + {scrambled}))"
    at = f"({begin:.0f} + s.k * {step:.4f})"
    came, ended = words.time(at), words.time(f"{at} + 240")
    state = (
        "CASE "
        + " ".join(
            f"WHEN s.k = {done + place} THEN '{name}'" for place, name in enumerate(UNDER_WAY, 1)
        )
        + " WHEN s.k % 200 = 0 THEN 'FAILED' WHEN s.k % 20 = 0 THEN 'NOT_ANALYSED'"
        " ELSE 'DELIVERED' END"
    )
    receiving = f"s.k BETWEEN {done + 1} AND {done + UNDER_WAY.count('RECEIVING')}"
    studies, ended_ones = words.numbers("s", count), words.numbers("s", done)
    yield (
        "INSERT INTO study (study_uid, revision, state, priority, attempt, source_ae,"
        " instance_count, first_received_at, last_received_at, completed_at,"
        f" completion_evidence, finished_at, error) SELECT {uid}, 1, {state}, 'ROUTINE', 1,"
        f" 'PACS', {images}, {came}, {words.time(f'{at} + 60')},"
        f" CASE WHEN {receiving} THEN NULL ELSE {words.time(f'{at} + 90')} END,"
        f" CASE WHEN {receiving} THEN NULL WHEN s.k % 500 = 0 THEN 'Incomplete: the source"
        " holds more images than are here.' ELSE 'The association was released and the source"
        " counts as many.' END,"
        f" CASE WHEN s.k > {done} THEN NULL ELSE {ended} END,"
        " CASE WHEN s.k % 200 = 0 THEN 'Given up after 20 tries.' END"
        f" FROM {studies}"
    )
    image = f"(s.k * {images} + i.k)"
    yield (
        "INSERT INTO instance (study_uid, revision, superseded_in, series_uid, sop_uid,"
        " sop_class_uid, transfer_syntax_uid, source_ae, priority, path, content_sha256,"
        f" received_at, computed) SELECT {uid}, 1, NULL, {uid} || '.' || (i.k % 4),"
        f" '{ROOT}' || {words.scrambled(image)} || '.' || i.k, '{_MR}', '{_EXPLICIT}', 'PACS',"
        f" 'ROUTINE', 'images/' || substr({words.digest('s.k')}, 1, 32) || '/' ||"
        f" {words.digest(image)} || '.dcm', {words.digest(image)},"
        f" {words.time(f'{at} + i.k * 0.5')}, {words.true(False)}"
        f" FROM {studies} CROSS JOIN {words.numbers('i', images)}"
    )
    yield (
        "INSERT INTO series_decision (study_uid, revision, position, series_uid, number, modality,"
        f" instance_count, chosen, reason) SELECT {uid}, 1, d.k - 1, {uid} || '.' || (d.k % 4),"
        f" d.k, 'MR', {images // 4}, d.k = 1, 'It is the thinnest axial FLAIR series.'"
        f" FROM {ended_ones} CROSS JOIN {words.numbers('d', 4)}"
    )
    yield (
        "INSERT INTO analysis (study_uid, revision, outcome, series_uid, study_score,"
        " study_p_value, slice_scores, slice_p_values, model_name, model_version, model_sha256,"
        " threshold_version, input_sha256, runtime, code_version, created_at, scanner)"
        f" SELECT {uid}, 1, CASE WHEN s.k % 20 = 0 THEN 'NOT_ANALYSED' WHEN s.k % 3 = 0 THEN"
        f" 'ABNORMAL' ELSE 'NO_ABNORMALITY' END, {uid} || '.1', (s.k % 97) / 40.0,"
        f" (s.k % 89) / 100.0, '{_SCORES}', '{_SCORES}', 'brain-gan', '1', '{words.read_by[0]}',"
        f" '{words.read_by[1]}', {words.digest('s.k')}, 'onnxruntime CPU', '0.9', {ended},"
        f" 'Maker Model ' || (s.k % 4) FROM {ended_ones}"
    )
    yield (
        "INSERT INTO lesion (study_uid, revision, number, tracking_uid, volume_ml, diameter_mm,"
        f" centroid_mm, peak_score, mean_score, slice_index) SELECT {uid}, 1, l.k,"
        f" '2.25.' || {words.scrambled('s.k * 2 + l.k')}, 3.5, 20.0, '[1.0, 2.0, 3.0]', 2.0, 1.5,"
        f" 11 FROM {ended_ones} CROSS JOIN {words.numbers('l', 2)}"
        " WHERE s.k % 3 = 0 AND s.k % 20 <> 0"
    )
    # The last of those under way has its results, and they wait for their destination.
    result = f"('2.25.' || (1000000000 + {words.scrambled(f's.k * {OBJECTS} + o.k')}))"
    sent = f"s.k <= {done} OR s.k = {count}"
    yield (
        "INSERT INTO result_object (sop_uid, study_uid, revision, current, position,"
        " sop_class_uid, series_uid, role, profile, transfer_syntax_uid, path, sha256, size_bytes)"
        f" SELECT {result}, {uid}, 1, {words.true(True)}, o.k - 1, '{_MR}', {result} || '.1',"
        f" {_ROLES}, 'default', '{_EXPLICIT}', 'results/' || substr({words.digest('s.k')}, 1, 32)"
        f" || '/1/' || o.k || '.dcm', {words.digest('s.k')}, 100000"
        f" FROM {studies} CROSS JOIN {words.numbers('o', OBJECTS)} WHERE {sent}"
    )
    transaction = f"('2.25.' || (7000000000 + {scrambled}))"
    yield (
        "INSERT INTO delivery (sop_uid, destination, state, attempts, status, updated_at, proof,"
        f" transaction_uid) SELECT {result}, '{DESTINATION}',"
        f" CASE WHEN s.k > {done} THEN 'STORED' ELSE 'COMMITTED' END, 1, 0, {ended},"
        f" CASE WHEN s.k > {done} THEN NULL ELSE 'COMMITMENT' END, {transaction}"
        f" FROM {studies} CROSS JOIN {words.numbers('o', OBJECTS)} WHERE {sent}"
    )
    yield (
        "INSERT INTO commitment (transaction_uid, destination, asked_at, accepted_at, answered_at)"
        f" SELECT {transaction}, '{DESTINATION}', {ended}, {ended},"
        f" CASE WHEN s.k > {done} THEN NULL ELSE {ended} END FROM {studies} WHERE {sent}"
    )
    yield (
        'INSERT INTO feedback (study_uid, revision, mark, note, "by", at)'
        f" SELECT {uid}, 1, CASE WHEN s.k % 100 = 0 THEN 'lesion' ELSE 'normal' END, '', 'reader',"
        f" {ended} FROM {ended_ones} WHERE s.k % 50 = 0"
    )
    yield (
        "INSERT INTO audit_event (number, at, who, action, subject, detail, previous_sha256,"
        f" sha256) SELECT (s.k - 1) * 4 + e.k, '2026-01-01T00:00:00+00:00', 'PACS',"
        " CASE e.k WHEN 1 THEN 'images received' WHEN 2 THEN 'results sent' WHEN 3 THEN"
        f" 'patient names seen' ELSE 'signed in' END, {uid} || '#1', '', '{'0' * 64}', '{'1' * 64}'"
        f" FROM {studies} CROSS JOIN {words.numbers('e', 4)}"
    )
    yield from _runs(words, count, done, uid, at)


def _runs(words: _Words, count: int, done: int, uid: str, at: str) -> Iterator[str]:
    """The engine's rows: two runs a study, nine steps, and what is queued for those under way."""
    schema = "" if words.sqlite else "dbos."
    run = f"({uid} || '#1/1/' || CASE r.k WHEN 1 THEN 'analysis' ELSE 'delivery/pacs/1' END)"
    queue = "CASE r.k WHEN 1 THEN 'analysis' ELSE 'delivery' END"
    moment = f"CAST({at} * 1000 AS BIGINT)"
    waits = done + UNDER_WAY.count("RECEIVING")
    # What is complete is enqueued or runs; what is being delivered waits for its next try.
    state = (
        f"CASE WHEN s.k <= {done} THEN CASE WHEN s.k % 200 = 0 THEN 'ERROR' ELSE 'SUCCESS' END"
        f" WHEN s.k = {waits + 1} THEN 'PENDING' WHEN s.k = {count} AND r.k = 1 THEN 'SUCCESS'"
        f" WHEN s.k = {count} THEN 'DELAYED' ELSE 'ENQUEUED' END"
    )
    chosen = f"s.k <= {done} OR (s.k > {waits} AND r.k = 1) OR s.k = {count}"
    rows = f"{words.numbers('s', count)} CROSS JOIN {words.numbers('r', 2)} WHERE {chosen}"
    yield (
        f"INSERT INTO {schema}workflow_status (workflow_uuid, status, name, executor_id,"
        " created_at, updated_at, application_version, recovery_attempts, queue_name,"
        " started_at_epoch_ms, priority, completed_at, delay_until_epoch_ms)"
        f" SELECT {run}, {state}, 'analyse_study', 'worker-1', {moment}, {moment}, '1', 1,"
        f" {queue}, {moment}, 10, CASE WHEN s.k <= {done} THEN {moment} END,"
        f" CASE WHEN s.k = {count} AND r.k = 2 THEN {moment} + 86400000 END FROM {rows}"
    )
    yield (
        f"INSERT INTO {schema}workflow_input (workflow_uuid, inputs, retention_timestamp)"
        f" SELECT {run}, '{_INPUTS}', {moment} FROM {rows}"
    )
    yield (
        f"INSERT INTO {schema}operation_outputs (workflow_uuid, function_id, function_name, output,"
        f" completed_at_epoch_ms, retention_timestamp) SELECT {run}, f.k, 'step', 'gAROLg==',"
        f" {moment}, {moment} FROM {words.numbers('s', done)} CROSS JOIN {words.numbers('r', 2)}"
        f" CROSS JOIN {words.numbers('f', 6)} WHERE f.k < CASE r.k WHEN 1 THEN 7 ELSE 3 END"
    )
