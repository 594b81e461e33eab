"""`neurosieve destinations`, and the doctor, over real associations and HTTP."""

import json
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import uid
from pynetdicom import AE
from typer.testing import CliRunner, Result

from agent.cli import app
from orthanc import free_port, running_orthanc
from web_peers import Answer, web_peer

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "agent.example.toml"
SECRET = "s3cret-t0ken"
EXPLICIT = str(uid.ExplicitVRLittleEndian)
RESULTS = [
    str(uid.Comprehensive3DSRStorage),
    str(uid.SegmentationStorage),
    str(uid.SecondaryCaptureImageStorage),
]


def run(*arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed)


def run_json(*arguments: str | Path) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def configured(folder: Path, *lines: str) -> Path:
    file = folder / "agent.toml"
    text = ["[[destinations]]", 'name = "web"', 'transport = "stow"', *lines]
    file.write_text("\n".join(text), encoding="utf-8")
    return file


def storage_peer(sop_classes: Sequence[str], *, port: int) -> AE:
    """A peer that takes C-ECHO and these classes."""
    ae = AE("PEER")
    for sop_class in ("1.2.840.10008.1.1", *sop_classes):
        ae.add_supported_context(sop_class, EXPLICIT)
    ae.start_server(("127.0.0.1", port), block=False)
    return ae


def test_dimse_is_added_listed_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    added = run("destinations", "add", "pacs", "--ae-title", "PACS", "--port", "104", "-c", file)
    assert added.exit_code == 0, added.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600  # made by us: it may come to hold a password
    (row,) = run_json("destinations", "list", "-c", file)
    assert (row["name"], row["transport"], row["address"]) == (
        "pacs",
        "dimse",
        "PACS at 127.0.0.1:104",
    )
    assert run_json("destinations", "show", "pacs", "-c", file)["port"] == 104


def test_without_a_file_agent_toml_is_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("destinations", "add", "web", "--url", "https://pacs/dicom-web").exit_code == 0
    assert tomllib.loads((tmp_path / "agent.toml").read_text()) == {
        "destinations": [{"name": "web", "transport": "stow", "url": "https://pacs/dicom-web"}]
    }


@pytest.mark.parametrize("end", ["\n", "", "\n\n# the end"])
def test_what_stood_in_the_file_stays_to_the_byte(tmp_path: Path, end: str) -> None:
    file = tmp_path / "agent.toml"
    before = EXAMPLE.read_text(encoding="utf-8").rstrip("\n").replace("\n", "\r\n") + end
    file.write_bytes(before.encode())
    file.chmod(0o640)
    result = run("destinations", "add", "web", "--url", "https://b/dicom-web", "-c", file)
    assert result.exit_code == 0, result.output
    assert file.read_bytes().startswith(before.encode())
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [row["name"] for row in run_json("destinations", "list", "-c", file)] == ["pacs", "web"]
    assert [path.name for path in tmp_path.iterdir()] == ["agent.toml"]


def test_a_list_on_one_line_grows(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('destinations = [{name="a", ae_title="A", port=1}]  # few\n[node]\nport = 0\n')
    result = run("destinations", "add", "b", "--ae-title", "B", "--port", "2", "-c", file)
    assert result.exit_code == 0, result.output
    assert [row["name"] for row in run_json("destinations", "list", "-c", file)] == ["a", "b"]
    assert file.read_text().endswith("# few\n[node]\nport = 0\n")


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("")
    link = tmp_path / "agent.toml"
    link.symlink_to("real.toml")
    assert run("destinations", "add", "web", "--url", "https://b", "-c", link).exit_code == 0
    assert link.is_symlink()
    assert "https://b" in (tmp_path / "real.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("web", "--url", "https://b"), "has a destination web already"),
        (("b", "--ae-title", "B"), "needs port"),
        (("b", "--url", "https://b", "--port", "1"), "does not know port"),
        (("b b", "--url", "https://b"), "destinations.1.name"),
        (("b", "--url", "ftp://b"), "begins with"),
    ],
)
def test_what_would_not_load_is_not_written(
    tmp_path: Path, arguments: Sequence[str], sentence: str
) -> None:
    file = configured(tmp_path, 'url = "https://a"')
    before = file.read_bytes()
    result = run("destinations", "add", *arguments, "-c", file)
    assert result.exit_code == 1
    assert sentence in result.output.replace("\n", " ")
    assert file.read_bytes() == before


def test_a_password_is_asked_for_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    result = run(
        *("destinations", "add", "web", "--url", "http://127.0.0.1:1", "--username", "node"),
        *("-c", file),
        typed=f"{SECRET}\n",
    )
    assert result.exit_code == 0, result.output
    assert SECRET not in result.output
    assert SECRET in file.read_text()
    assert_never_shown(file)


@pytest.mark.parametrize(
    "line", [f'token = "{SECRET}"', f'username = "node"\npassword = "{SECRET}"']
)
def test_a_secret_in_the_file_is_never_shown(tmp_path: Path, line: str) -> None:
    assert_never_shown(configured(tmp_path, 'url = "http://127.0.0.1:1"', line))


@pytest.mark.parametrize("wrong", ['url = "nonsense"', 'url = "https://a"\nport = 1'])
def test_a_secret_in_a_wrong_file_is_never_shown(tmp_path: Path, wrong: str) -> None:
    assert_never_shown(configured(tmp_path, wrong, f'token = "{SECRET}"'))


def assert_never_shown(file: Path) -> None:
    for command in (["list"], ["show", "web"], ["test", "web"]):
        for option in ([], ["--json"]):
            result = run("destinations", *command, *option, "-c", file)
            assert SECRET not in result.output
            assert "*" not in result.output
    assert SECRET not in run("doctor", "-c", file).output


def test_an_unknown_name_is_one_sentence(tmp_path: Path) -> None:
    file = configured(tmp_path, 'url = "https://a"')
    for command in ("show", "test"):
        result = run("destinations", command, "other", "-c", file)
        assert result.exit_code == 1
        assert "no destination other; configured: web" in result.output


@pytest.mark.parametrize(
    ("taken", "exit_code"),
    [(RESULTS, 0), ([*RESULTS, str(uid.MRImageStorage)], 0), (RESULTS[1:], 1)],
)
def test_what_a_peer_accepts_is_told_without_sending(
    tmp_path: Path, taken: Sequence[str], exit_code: int
) -> None:
    port = free_port()
    file = tmp_path / "agent.toml"
    run("destinations", "add", "pacs", "--ae-title", "PEER", "--port", str(port), "-c", file)
    peer = storage_peer(taken, port=port)
    try:
        result = run("destinations", "test", "pacs", "-c", file, "--json")
    finally:
        peer.shutdown()
    rows = json.loads(result.stdout)
    assert result.exit_code == exit_code, result.output
    assert rows[0]["object"] == "C-ECHO"
    proof, *classes = rows[1:]
    assert (proof["object"], proof["accepted"]) == ("proof of delivery", "warning")
    assert "no proof of delivery" in proof["detail"]
    accepted = {row["sop_class_uid"] for row in classes if row["accepted"] == "yes"}
    assert accepted == set(taken)
    assert len(classes) == 8
    if exit_code:
        assert "pacs refuses what it is to receive: Comprehensive 3D SR." in result.stderr


@pytest.mark.parametrize(("demanded", "exit_code"), [("auto", 0), ("off", 0), ("query", 1)])
def test_a_proof_that_is_demanded_and_not_offered_fails_the_test(
    tmp_path: Path, demanded: str, exit_code: int
) -> None:
    port = free_port()
    file = tmp_path / "agent.toml"
    run("destinations", "add", "pacs", "--ae-title", "PEER", "--port", str(port), "-c", file)
    file.write_text(f'{file.read_text()}\nconfirm = "{demanded}"\n')
    peer = storage_peer(RESULTS, port=port)
    try:
        tested = run("destinations", "test", "pacs", "-c", file)
        doctor = json.loads(run("doctor", "-c", file, "--json").stdout)
    finally:
        peer.shutdown()
    assert tested.exit_code == exit_code, tested.output
    (row,) = (row for row in doctor if row["check"] == "proof from pacs")
    assert row["result"] == {"auto": "warning", "off": "ok", "query": "failed"}[demanded]


def test_heatmaps_that_are_off_need_not_be_accepted(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "agent.toml"
    file.write_text('[results]\nheatmap = "off"\n')
    run("destinations", "add", "pacs", "--ae-title", "PEER", "--port", str(port), "-c", file)
    peer = storage_peer(RESULTS[:2], port=port)
    try:
        assert run("destinations", "test", "pacs", "-c", file).exit_code == 0
    finally:
        peer.shutdown()


def test_a_destination_that_is_away_fails_with_a_sentence(tmp_path: Path) -> None:
    file = configured(tmp_path, f'url = "http://127.0.0.1:{free_port()}"')
    result = run("destinations", "test", "web", "-c", file)
    assert result.exit_code == 1
    assert "cannot be reached" in result.output


def test_a_web_destination_is_tried_by_a_query(tmp_path: Path) -> None:
    with web_peer(lambda _: Answer(body=b"[{}]")) as peer:
        file = configured(tmp_path, f'url = "{peer.destination.url}"', f'token = "{SECRET}"')
        row, proof = run_json("destinations", "test", "web", "-c", file)
        doctor = json.loads(run("doctor", "-c", file, "--json").stdout)
    assert (row["object"], row["accepted"]) == ("QIDO-RS", "yes")
    assert "lets us in (1 study shown)" in row["detail"]
    assert (proof["accepted"], proof["detail"]) == ("yes", "what it was sent can be read back")
    for check in ("destination web", "proof from web"):
        (checked,) = (row for row in doctor if row["check"] == check)
        assert checked["result"] == "ok"
    assert {request.path for request in peer.requests} == {"/dicom-web/studies?limit=1"}


@pytest.mark.peer
def test_orthanc_is_tried_both_ways(tmp_path: Path) -> None:
    with running_orthanc(tmp_path / "orthanc", login=("node", "right")) as pacs:
        dimse = ("--ae-title", "PACS", "--port", str(pacs.dicom_port))
        file = tmp_path / "agent.toml"
        run("destinations", "add", "pacs", *dimse, "-c", file)
        stow = ("--url", pacs.web_destination.url, "--username", "node")
        run("destinations", "add", "web", *stow, "-c", file, typed="right\n")
        run("destinations", "add", "wrong", *stow, "-c", file, typed=f"{SECRET}\n")
        by_name = {
            name: run("destinations", "test", name, "-c", file) for name in ("pacs", "web", "wrong")
        }
    assert [result.exit_code for result in by_name.values()] == [0, 0, 1]
    assert "HTTP 401" in by_name["wrong"].output
    assert SECRET not in by_name["wrong"].output
