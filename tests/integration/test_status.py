"""The status page over real HTTP: what it says, and whom it lets in."""

import html
import re
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

import status_page
from agent import bootstrap
from agent.status import alarms, node_view, users
from agent.status.pages import PAGE_SIZE
from agent.status.server import StatusServer
from received import image
from status_page import served, settings, sign_in, token, visitor
from storage import audit, feedback, registry, studies, verdicts
from storage.enums import Mark, StudyState
from storage.files import FileStore
from storage.model_records import ModelVersion
from storage.records import StudyUid
from storage.store import Store
from verdicts import ANALYSIS

PASSWORD = "correct horse battery"
PAGES = ("/", "/studies", "/model", "/trainings", "/drift", "/destinations")


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[StatusServer, bootstrap.Storage]]:
    with served(settings(tmp_path)) as running:
        yield running


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[StatusServer]:
    values = settings(tmp_path, login=True)
    users.add(bootstrap.users_file(values), "anna", PASSWORD)
    with served(values) as (server, _):
        yield server


@pytest.mark.parametrize("path", PAGES)
def test_every_page_of_an_empty_node_answers_and_is_marked(
    page: tuple[StatusServer, bootstrap.Storage], path: str
) -> None:
    with visitor(page[0]) as client:
        answer = client.get(path)
    assert answer.status_code == 200
    assert "RESEARCH USE ONLY" in answer.text
    assert " style=" not in answer.text
    assert "<script>" not in answer.text


def test_the_answers_carry_the_security_headers(
    page: tuple[StatusServer, bootstrap.Storage],
) -> None:
    with visitor(page[0]) as client:
        for path in ("/", "/nothing", "/healthz", "/static/status.css"):
            headers = client.get(path).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] == "no-store"


def test_a_foreign_host_header_is_refused(page: tuple[StatusServer, bootstrap.Storage]) -> None:
    with visitor(page[0]) as client:
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_a_study_is_shown_without_the_patient(tmp_path: Path) -> None:
    with served(settings(tmp_path)) as (server, storage), visitor(server) as client:
        key = status_page.analyse_demo(storage)
        at = "/studies/" + key.replace("#", "/")
        shown = client.get(at).text
        assert "Abnormality flagged" in shown
        assert "Lesions" in shown
        for view in ("source", "map", "mask"):
            answer = client.get(f"{at}/slices/5/{view}.png")
            assert answer.headers["content-type"] == "image/png"
        assert client.get(f"{at}/slices/999/map.png").status_code == 404
        assert client.get(f"{at}/slices/5/other.png").status_code == 404
        name = _patient_name()
        assert name not in shown
        assert "AX T2 FLAIR" not in shown  # people type names into descriptions
        assert "Series 1 (MR" in shown


def test_patient_names_are_shown_where_they_are_switched_on(tmp_path: Path) -> None:
    values = settings(tmp_path, show_patient_names=True)
    with served(values) as (server, storage), visitor(server) as client:
        key = status_page.analyse_demo(storage)
        assert _patient_name() in client.get("/studies").text
        shown = client.get(f"/studies/{key.replace('#', '/')}").text
        assert shown.count("AX T2 FLAIR") == 2  # read from the image, and in the report


def test_the_audit_is_told_of_logins_and_of_names_seen(tmp_path: Path) -> None:
    told: list[tuple[str, str, str]] = []
    values = settings(tmp_path, login=True, show_patient_names=True)
    storage = bootstrap.open_storage(values)
    bootstrap.open_models(values, storage)
    users.add(bootstrap.users_file(values), "anna", PASSWORD)
    key = status_page.add_study(storage, 1, state=StudyState.COMPLETE)
    server = bootstrap.status_server(
        values, storage, tell=lambda who, action, subject: told.append((who, action, subject))
    )
    server.start()
    with visitor(server) as client:
        sign_in(client, "anna", "wrong")
        sign_in(client, PASSWORD, "anna")  # in the wrong fields
        sign_in(client, "anna", PASSWORD)
        page = client.get(f"/studies/{key.replace('#', '/')}")
        client.post("/logout", data={"token": token(page)})
    server.stop()
    storage.database.close()
    here = "127.0.0.1"
    assert told == [
        ("anna", "sign-in failed", here),
        ("somebody unknown", "sign-in failed", here),
        ("anna", "signed in", here),
        ("anna", "patient names seen", key),
        ("anna", "signed out", here),
    ]


def _patient_name() -> str:
    import pydicom

    import demo_study

    name = str(pydicom.dcmread(demo_study.IMAGES[0], stop_before_pixels=True).PatientName)
    return name.replace("^", " ").strip()


def test_a_mark_is_kept_with_its_audit(page: tuple[StatusServer, bootstrap.Storage]) -> None:
    server, storage = page
    key = status_page.add_study(storage, 7, state=StudyState.DELIVERED)
    at = "/studies/" + key.replace("#", "/")
    with visitor(server) as client:
        form = {"token": token(client.get(at)), "mark": "missed", "note": "<b>left</b>"}
        assert client.post(at + "/mark", data=form).status_code == 303
        assert "&lt;b&gt;left&lt;/b&gt;" in client.get(at).text
        assert client.post(at + "/mark", data=form | {"mark": "x"}).status_code == 400
    with storage.database.read() as session:
        said = feedback.latest(session, StudyUid(key.split("#")[0]))
        event = audit.events(session, limit=1)[0]
    assert said is not None
    assert said.mark is Mark.MISSED
    assert event.action == "study marked missed"


def test_a_form_that_is_too_large_is_not_read(guarded: StatusServer) -> None:
    with visitor(guarded) as client:
        assert client.post("/login", content=b"x" * 100_000).status_code == 413
        assert client.post("/login", content=iter([b"x"])).status_code == 413


def test_a_form_of_another_session_is_refused(
    page: tuple[StatusServer, bootstrap.Storage],
) -> None:
    server, storage = page
    key = status_page.add_study(storage, 7, state=StudyState.DELIVERED)
    at = "/studies/" + key.replace("#", "/")
    with visitor(server) as one, visitor(server) as other:
        stolen = token(one.get(at))
        other.get(at)
        form = {"token": stolen, "mark": "normal"}
        assert other.post(at + "/mark", data=form).status_code == 403
        assert httpx.post(f"{server.url}{at[1:]}/mark", data={"mark": "normal"}).status_code == 403


def test_without_a_login_nothing_is_told(guarded: StatusServer) -> None:
    with visitor(guarded) as client:
        for path in (*PAGES, "/studies/1.2/1"):
            assert client.get(path).headers["location"] == "/login"
        client.headers["Accept"] = "*/*"
        for path in ("/metrics", "/studies/1.2/1/thumbnail.png", "/", "/model/a/b/figures/c.png"):
            answer = client.get(path)
            assert answer.status_code == 401
            assert answer.text == "sign in first\n"
        assert client.post("/studies/1.2/1/mark").status_code == 401
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").text == "ok\n"


def test_a_login_opens_a_new_session_that_the_logout_ends(guarded: StatusServer) -> None:
    with visitor(guarded) as client:
        client.get("/login")
        before = client.cookies["neurosieve_session"]
        answer = sign_in(client, "anna", PASSWORD)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.cookies["neurosieve_session"] != before
        shown = client.get("/")
        assert shown.status_code == 200
        kept = client.cookies["neurosieve_session"]
        client.post("/logout", data={"token": token(shown)})
        client.cookies.set("neurosieve_session", kept)
        assert client.get("/").status_code == 303


def test_wrong_passwords_are_slow_and_then_refused(guarded: StatusServer) -> None:
    from agent.status import sessions

    with visitor(guarded) as client:
        answer = sign_in(client, "anna", "wrong")
        assert answer.status_code == 401
        assert answer.elapsed >= timedelta(seconds=1)
        unknown = sign_in(client, "nobody", PASSWORD)
        assert "User name or password is wrong" in unknown.text
    tried = sessions.Sessions(seconds=60)
    for _ in range(sessions.MOST_TRIES):
        assert tried.may_try("10.0.0.1")
        tried.note_wrong("10.0.0.1")
    assert not tried.may_try("10.0.0.1")
    assert tried.may_try("10.0.0.2")


def test_prometheus_comes_in_with_its_token(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    values = settings(tmp_path / "data", login=True, metrics_token_file=secret)
    users.add(bootstrap.users_file(values), "anna", PASSWORD)
    with served(values) as (server, _), visitor(server) as client:
        right = {"Authorization": "Bearer s3cret"}
        text = client.get("/metrics", headers=right).text
        assert "neurosieve_studies_incomplete 0.0" in text
        assert client.get("/", headers=right).status_code == 303
        wrong = {"Authorization": "Bearer other", "Accept": "*/*"}
        assert client.get("/metrics", headers=wrong).status_code == 401


def test_at_any_other_address_nothing_but_health_is_told_before_there_is_a_user(
    tmp_path: Path,
) -> None:
    values = settings(tmp_path, host="0.0.0.0")
    with served(values) as (server, _):
        address = f"http://127.0.0.1:{server.port}"
        for path in ("/", "/studies", "/metrics", "/model"):
            assert httpx.get(address + path, timeout=10).status_code == 401
        # As a probe asks, by an address that nobody foresaw.
        pod = {"Host": "10.1.2.3:8480"}
        assert httpx.get(address + "/healthz", headers=pod, timeout=10).text == "ok\n"
        assert httpx.get(address + "/readyz", headers=pod, timeout=10).status_code == 200
        assert httpx.get(address + "/metrics", headers=pod, timeout=10).status_code == 401
        assert httpx.get(address + "/login", headers=pod, timeout=10).status_code == 400
        said = httpx.get(address + "/login", timeout=10).text
        assert "neurosieve users add" in said


def test_on_loopback_metrics_are_not_told_to_a_foreign_name(tmp_path: Path) -> None:
    with served(settings(tmp_path)) as (server, _):
        address = f"http://127.0.0.1:{server.port}/metrics"
        assert httpx.get(address, timeout=10).status_code == 200
        foreign = {"Host": "evil.example"}
        assert httpx.get(address, headers=foreign, timeout=10).status_code == 400


def test_the_users_file_is_for_the_service_alone_and_holds_no_password(tmp_path: Path) -> None:
    file = tmp_path / "users.json"
    users.add(file, "anna", PASSWORD)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "$argon2id$" in file.read_text()
    assert PASSWORD not in file.read_text()
    assert users.check(file, "anna", PASSWORD)
    assert not users.check(file, "anna", PASSWORD + "x")
    assert not users.check(file, "bert", PASSWORD)


def test_a_port_that_is_taken_is_no_crash(
    page: tuple[StatusServer, bootstrap.Storage], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = settings(tmp_path / "other", port=taken.getsockname()[1])
        storage = bootstrap.open_storage(values)
        server = bootstrap.status_server(values, storage)
        assert not server.try_start()
        assert server.url is None
        server.stop()
        storage.database.close()


def test_alarms_say_what_is_wrong_and_what_to_do(
    page: tuple[StatusServer, bootstrap.Storage],
) -> None:
    server, storage = page
    with visitor(server) as client:
        assert "All is well" in client.get("/").text
        status_page.add_study(storage, 1, state=StudyState.FAILED, error="It broke.")
        status_page.add_study(storage, 2, state=StudyState.COMPLETE, age=timedelta(hours=2))
        status_page.add_study(storage, 3, state=StudyState.DELIVERING, age=timedelta(hours=5))
        shown = client.get("/").text
        measured = client.get("/metrics").text
    assert "Somebody must act" in shown
    assert shown.count(">No result<") == 1  # of the failed one; the others are still to come
    assert shown.count(">No result yet<") == 2
    for words in ("One study has failed", "no worker runs", "neurosieve studies retry"):
        assert words in shown
    for kind in ("studies_failed", "no_worker"):
        assert f'neurosieve_alarm{{alarm="{kind}",severity="critical"}} 1.0' in measured
    assert 'neurosieve_alarm{alarm="delivery_stuck",severity="warning"} 1.0' in measured
    assert not re.search(r"\d+\.\d+\.\d+\.\d+\.\d+", measured)  # no UID


def test_a_model_on_trial_is_silent_only_of_studies_since_its_trial_began(
    page: tuple[StatusServer, bootstrap.Storage],
) -> None:
    _, storage = page
    site = bootstrap.status_site(settings(storage.store.root), storage)
    now = node_view.now()
    for number in range(3):
        key = status_page.add_study(
            storage, number, state=StudyState.DELIVERED, age=timedelta(hours=5)
        )
        with storage.database.begin() as session:
            verdicts.save_analysis(session, key, ANALYSIS, [])
    with storage.database.begin() as session:
        (version,) = registry.list_versions(session)
        registry.set_shadow(session, version)
        begin_trial(session, version, now - timedelta(hours=6))
    assert alarms.Kind.SHADOW_SILENT in {one.kind for one in alarms.find(site, now)}
    with storage.database.begin() as session:
        begin_trial(session, version, now - timedelta(hours=2))  # tried again, after the studies
    assert alarms.Kind.SHADOW_SILENT not in {one.kind for one in alarms.find(site, now)}


def fill(store: Store) -> None:
    """Let the disk look full."""
    assert isinstance(store, FileStore)
    store.reserve_bytes = 2**60


def begin_trial(session: Session, version: ModelVersion, at: datetime) -> None:
    """Say in the audit what `models shadow` says."""
    audit.append(session, who="anna", action=alarms.TRIAL_BEGAN, subject=version.label, now=at)


def test_a_full_disk_and_a_closed_listener_are_alarms(tmp_path: Path) -> None:
    values = settings(tmp_path)
    storage = bootstrap.open_storage(values)
    fill(storage.store)
    site = replace(bootstrap.status_site(values, storage), accepts=lambda: False)
    kinds = {one.kind for one in alarms.find(site, node_view.now())}
    assert kinds == {alarms.Kind.DISK_LOW, alarms.Kind.LISTENER}
    storage.database.close()


def test_a_database_that_went_away_is_an_alarm_and_no_error(tmp_path: Path) -> None:
    values = settings(tmp_path)
    storage = bootstrap.open_storage(values)
    with storage.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE activation RENAME TO gone"))
    site = bootstrap.status_site(values, storage)  # its drift watch asks the database too
    kinds = {one.kind for one in alarms.find(site, node_view.now())}
    assert alarms.Kind.DATABASE in kinds
    storage.database.close()


def test_not_ready_where_the_disk_is_full(page: tuple[StatusServer, bootstrap.Storage]) -> None:
    server, storage = page
    with visitor(server) as client:
        assert client.get("/readyz").status_code == 200
        fill(storage.store)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "not ready\n")
        assert client.get("/healthz").status_code == 200


def test_studies_are_turned_over_page_by_page(tmp_path: Path) -> None:
    with served(settings(tmp_path)) as (server, storage), visitor(server) as client:
        with storage.database.begin() as session:
            for number in range(PAGE_SIZE + 3):
                later = image(number, study=f"1.2.{number:03}")
                studies.record_instances(session, [later])
        first = client.get("/studies?state=RECEIVING")
        assert _listed(first) == [f"1.2.{number:03}" for number in range(PAGE_SIZE + 2, 2, -1)]
        assert _link(first, "prev") is None
        second = client.get(_link(first, "next") or "")
        assert _listed(second) == ["1.2.002", "1.2.001", "1.2.000"]
        assert _link(second, "next") is None
        again = client.get(_link(second, "prev") or "")
        assert _listed(again) == _listed(first)
        assert _link(again, "prev") is None
        assert client.get("/studies?before=1.2.9%231").status_code == 404


def _listed(page: httpx.Response) -> list[str]:
    found = re.findall(r'href="/studies/([0-9.]+)/1"', page.text)
    return list(dict.fromkeys(found))


def _link(page: httpx.Response, rel: str) -> str | None:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page.text)
    return html.unescape(found[1]) if found else None
