"""A status page over a real database and store, served by a real uvicorn on a free port."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pydicom

import demo_study
from agent import bootstrap, inference
from agent.composition import Appearance
from agent.dicom import part10
from agent.dicom.objects.profiles import Profile
from agent.dicom.series import SeriesRules
from agent.inference import Provider
from agent.settings import (
    DestinationSettings,
    ModelSettings,
    NodeSettings,
    Settings,
    StatusSettings,
)
from agent.status import workers
from agent.status.server import StatusServer
from agent.steps import AnalysisSteps
from builders import NAMESPACE
from models_at_hand import OneModel
from received import image
from storage import results, studies
from storage.enums import DeliveryState, Priority, StudyState
from storage.records import Instance, SeriesUid, SopUid, StudyKey, StudyUid

PATH_OF_STATES = (
    StudyState.ANALYSING,
    StudyState.COMPOSED,
    StudyState.DELIVERING,
    StudyState.DELIVERED,
)


def settings(folder: Path, **status: object) -> Settings:
    """A node in its own folder; only what is written here counts."""
    return Settings.model_construct(
        node=NodeSettings(data_dir=folder, reserve_gb=0.0, watermark_percent=100.0),
        model=ModelSettings(provider="cpu"),
        destinations=(
            DestinationSettings(name="pacs", ae_title="PACS", host="127.0.0.1", port=4242),
        ),
        status=StatusSettings.model_validate({"port": 0} | status),
    )


@contextmanager
def served(values: Settings) -> Iterator[tuple[StatusServer, bootstrap.Storage]]:
    """The page of a node with the shipped model in force."""
    storage = bootstrap.open_storage(values)
    bootstrap.open_models(values, storage)
    server = bootstrap.status_server(values, storage)
    server.start()
    try:
        yield server, storage
    finally:
        server.stop()
        storage.database.close()


@contextmanager
def visitor(server: StatusServer) -> Iterator[httpx.Client]:
    """A browser without a screen."""
    headers = {"Accept": "text/html"}
    with httpx.Client(base_url=server.url or "", headers=headers, timeout=30.0) as client:
        yield client


def token(page: httpx.Response) -> str:
    """The token in a page's form."""
    return page.text.split('name="token" value="', 1)[1].split('"', 1)[0]


def sign_in(client: httpx.Client, name: str, password: str) -> httpx.Response:
    """Fill in the form as a person does."""
    given = token(client.get("/login"))
    return client.post("/login", data={"token": given, "name": name, "password": password})


def analyse_demo(storage: bootstrap.Storage, now: datetime | None = None) -> StudyKey:
    """The demo study, received, read, and delivered to `pacs`."""
    moment = now or datetime.now(UTC)
    steps = AnalysisSteps(
        database=storage.database,
        store=storage.store,
        models=OneModel(inference.load(inference.default_folder(), provider=Provider.CPU)),
        rules=SeriesRules(),
        appearance=Appearance(namespace=NAMESPACE, profile=Profile()),
        profiles={},
    )
    with storage.database.begin() as session:
        images = [_received(storage, path, moment) for path in demo_study.IMAGES]
        (key,) = studies.record_instances(session, images)
        studies.complete(session, key, evidence="The sender released the association.", now=moment)
    for _, step in steps.in_order:
        step(key)
    with storage.database.begin() as session:
        digest = results.objects_of(session, key)[0].profile
        results.plan_deliveries(session, key, {"pacs": digest}, now=moment)
        for one in results.deliveries_of(session, key):
            results.record_delivery(
                session,
                sop_uid=one.sop_uid,
                destination="pacs",
                state=DeliveryState.STORED,
                status=0,
                error=None,
                now=moment,
            )
        for state in PATH_OF_STATES[2:]:
            studies.advance(session, key, state, now=moment + timedelta(seconds=41))
    return key


def add_study(
    storage: bootstrap.Storage,
    number: int,
    *,
    state: StudyState,
    age: timedelta = timedelta(minutes=3),
    error: str | None = None,
) -> StudyKey:
    """A study without pixels in some state."""
    moment = datetime.now(UTC) - age
    uid = f"1.2.826.0.1.3680043.8.498.{number:012d}"
    with storage.database.begin() as session:
        (key,) = studies.record_instances(
            session, [image(number, study=uid, received_at=moment, source_ae="MR1")]
        )
        if state is StudyState.RECEIVING:
            return key
        studies.complete(session, key, evidence="It was quiet for 10 s.", now=moment)
        for step in (*PATH_OF_STATES, StudyState.COMPLETE):
            if state is StudyState.COMPLETE or studies.get(session, key).state is state:
                break
            if state is StudyState.FAILED:
                studies.advance(session, key, state, now=moment, error=error)
                break
            studies.advance(session, key, step, now=moment + timedelta(seconds=40))
    return key


def _received(storage: bootstrap.Storage, path: Path, moment: datetime) -> Instance:
    received = part10.parse(path.read_bytes())
    header = pydicom.dcmread(path, stop_before_pixels=True)
    digest = part10.content_sha256(received.encoded, received.transfer_syntax_uid)
    kept, _ = storage.store.keep_image(str(header.StudyInstanceUID), digest, [path.read_bytes()])
    return Instance(
        study_uid=StudyUid(str(header.StudyInstanceUID)),
        series_uid=SeriesUid(str(header.SeriesInstanceUID)),
        sop_uid=SopUid(str(header.SOPInstanceUID)),
        sop_class_uid=str(header.SOPClassUID),
        transfer_syntax_uid=received.transfer_syntax_uid,
        source_ae="DEMO-PACS",
        priority=Priority.ROUTINE,
        path=kept,
        content_sha256=digest,
        received_at=moment,
    )


def make_busy(storage: bootstrap.Storage) -> StudyKey:
    """A node in the middle of its day; returns the study with findings."""
    key = analyse_demo(storage)
    workers.sign(storage.store.root / "worker-0.lock")
    for number, state in enumerate(
        (StudyState.RECEIVING, StudyState.COMPLETE, StudyState.ANALYSING)
    ):
        add_study(storage, number, state=state)
    for number in range(10, 34):
        add_study(
            storage, number, state=StudyState.DELIVERED, age=timedelta(hours=number * 1.7 - 16)
        )
    return key


def make_alarmed(storage: bootstrap.Storage) -> StudyKey:
    """A node that needs a person."""
    key = analyse_demo(storage)
    why = "An internal error (RuntimeError) stopped the analysis."
    add_study(storage, 90, state=StudyState.FAILED, error=why)
    add_study(storage, 91, state=StudyState.COMPLETE, age=timedelta(hours=2))
    add_study(storage, 92, state=StudyState.DELIVERING, age=timedelta(hours=5))
    return key
