"""The alert rules and the dashboard speak of metrics that the node has."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import status_page
from status_page import served, settings, visitor

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
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
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    subprocess.run([promtool, "check", "rules", FOLDER / "alerts.yaml"], check=True, timeout=60)
