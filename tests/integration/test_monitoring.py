"""The alert rules and the dashboard speak of metrics that the node has."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

import deploy_files
import status_page
from orthanc import free_port
from running import wait_until
from status_page import served, settings, visitor

FOLDER = deploy_files.DEPLOY / "monitoring"
PACKAGE = "Debian package prometheus"
NAME = re.compile(r"\bneurosieve_[a-z_]+")


@pytest.mark.parametrize("file", ["alerts.yaml", "dashboard.json"])
def test_every_metric_named_is_there(file: str, tmp_path: Path) -> None:
    with served(settings(tmp_path)) as (server, storage), visitor(server) as client:
        status_page.analyse_demo(storage)
        measured = client.get("/metrics").text
    named = set(NAME.findall((FOLDER / file).read_text(encoding="utf-8")))
    told = set(NAME.findall(measured))
    assert named
    assert named <= told


def test_the_dashboard_is_json_whose_panels_do_not_overlap() -> None:
    panels = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels]
    assert len(set(places)) == len(places)


@pytest.mark.peer
def test_promtool_accepts_the_rules() -> None:
    promtool = deploy_files.program("promtool", PACKAGE)
    deploy_files.judged(promtool, "check", "rules", FOLDER / "alerts.yaml")


@pytest.mark.peer
@pytest.mark.parametrize(
    ("metric", "labels", "ill", "alert"),
    [
        ("up", {"job": "neurosieve"}, 0, "NeuroSieveDown"),
        ("neurosieve_database_up", {}, 0, "NeuroSieveDatabase"),
        ("neurosieve_alarm", {"alarm": "disk", "severity": "critical"}, 1, "NeuroSieveCritical"),
        ("neurosieve_alarm", {"alarm": "queue", "severity": "warning"}, 1, "NeuroSieveWarning"),
    ],
)
def test_an_alert_fires_in_its_case_alone(
    metric: str, labels: dict[str, str], ill: int, alert: str, tmp_path: Path
) -> None:
    (group,) = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    (rule,) = (one for one in group["rules"] if one["alert"] == alert)
    labels = labels | {"instance": "node"}
    fired = {
        "exp_labels": labels | rule["labels"],
        "exp_annotations": {
            name: re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], text)
            for name, text in rule["annotations"].items()
        },
    }
    written = ",".join(f'{name}="{value}"' for name, value in labels.items())
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": f"{metric}{{{written}}}", "values": f"{value}x60"}],
            "alert_rule_test": [{"eval_time": "40m", "alertname": alert, "exp_alerts": expected}],
        }
        for value, expected in ((ill, [fired]), (1 - ill, []))
    ]
    rules = {"rule_files": [str(FOLDER / "alerts.yaml")], "tests": tests}
    (tmp_path / "test.json").write_text(json.dumps(rules), encoding="utf-8")
    promtool = deploy_files.program("promtool", PACKAGE)
    deploy_files.judged(promtool, "test", "rules", tmp_path / "test.json")


@pytest.mark.peer
def test_prometheus_reads_a_guarded_page_with_the_shipped_configuration(tmp_path: Path) -> None:
    program = deploy_files.program("prometheus", PACKAGE)
    secret = tmp_path / "neurosieve-token"
    secret.write_text("s3cret\n", encoding="utf-8")
    values = settings(tmp_path / "data", login=True, metrics_token_file=secret)
    with served(values) as (page, _):
        text = (FOLDER / "prometheus.yaml").read_text(encoding="utf-8")
        assert "127.0.0.1:8480" in text
        told = text.replace(":8480", f":{page.port}").replace("30s", "1s")
        (tmp_path / "prometheus.yaml").write_text(told, encoding="utf-8")
        shutil.copy(FOLDER / "alerts.yaml", tmp_path)
        with _prometheus(program, tmp_path) as client:
            wait_until(
                lambda: _value(client, 'up{job="neurosieve"}') == "1",
                timeout_seconds=60,
                what="Prometheus to read the page",
            )
            assert _value(client, "neurosieve_database_up") == "1"
            groups = client.get("/api/v1/rules").json()["data"]["groups"]
    assert [one["name"] for one in groups] == ["neurosieve"]


@contextmanager
def _prometheus(program: str, folder: Path) -> Iterator[httpx.Client]:
    """A Prometheus with the folder's configuration, and who asks it."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            with httpx.Client(base_url=f"http://{address}", timeout=10.0) as client:
                yield client
        finally:
            process.terminate()


def _value(client: httpx.Client, query: str) -> str | None:
    """The one value that Prometheus has for it; None while there is none."""
    try:
        answer = client.get("/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return None
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # it reads its own files first
        return None
    found = answer.json().get("data", {}).get("result", [])
    return str(found[0]["value"][1]) if found else None
