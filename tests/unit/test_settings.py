"""The configuration: file, environment, defaults, and what is said about mistakes."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent import bootstrap, settings
from agent.dicom.peer import Destination
from agent.dicom.web import WebDestination
from agent.errors import ConfigurationError

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "agent.example.toml"


def written(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_example_is_valid_and_shows_the_defaults() -> None:
    example, default = settings.load(EXAMPLE), settings.Settings()
    for section in ("node", "completion", "delivery", "work", "series", "model", "results", "log"):
        assert getattr(example, section) == getattr(default, section)
    assert example.destinations[0].name == "pacs"


def test_the_example_of_a_web_destination_is_valid(tmp_path: Path) -> None:
    _, _, behind = EXAMPLE.read_text(encoding="utf-8").partition("# [[destinations]]")
    block, _, _ = behind.partition("\n\n")
    lines = [line.removeprefix("# ") for line in block.splitlines()]
    (one,) = settings.load(written(tmp_path, "\n".join(["[[destinations]]", *lines]))).destinations
    default = settings.DestinationSettings(name="web", transport="stow", url=one.url)
    assert (one.connect_seconds, one.answer_seconds) == (
        default.connect_seconds,
        default.answer_seconds,
    )


def test_without_a_file_the_defaults_listen_on_loopback_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings.load().node.host == "127.0.0.1"


def test_the_file_in_this_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "[node]\nport = 104\n")
    monkeypatch.chdir(tmp_path)
    assert settings.load().node.port == 104


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, '[node]\nae_title = "FILE"\nport = 104\n')
    monkeypatch.setenv("NEUROSIEVE_NODE__AE_TITLE", "ENVIRONMENT")
    loaded = settings.load(file)
    assert (loaded.node.ae_title, loaded.node.port) == ("ENVIRONMENT", 104)


def test_a_sender_may_have_a_quiet_time_of_its_own(tmp_path: Path) -> None:
    loaded = settings.load(written(tmp_path, '[[peers]]\nae_title = "CT"\nquiet_seconds = 3\n'))
    assert (loaded.quiet_seconds("CT"), loaded.quiet_seconds("MR")) == (3.0, 10.0)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[node]\nprt = 104\n", "node.prt"),
        ("[node]\nport = 70000\n", "node.port"),
        ('[node]\nae_title = "SEVENTEEN LETTERS"\n', "node.ae_title"),
        ('[[destinations]]\nname = "a b"\nae_title = "X"\nport = 1\n', "destinations.0.name"),
        ('[model]\nprovider = "tpu"\n', "model.provider"),
        ("[node\n", "TOML"),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        settings.load(written(tmp_path, text))


STOW = '[[destinations]]\nname = "web"\ntransport = "stow"\nurl = "https://pacs/dicom-web/"\n'


def test_a_web_destination_has_all_that_it_may_have(tmp_path: Path) -> None:
    extra = 'token_file = "t"\nca_file = "c"\ncertificate_file = "d"\nkey_file = "k"\n'
    (one,) = settings.load(written(tmp_path, STOW + extra)).destinations
    assert (one.url, one.ca_file) == ("https://pacs/dicom-web", Path("c"))
    assert (one.connect_seconds, one.answer_seconds) == (10.0, 60.0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (STOW + "port = 104\n", 'transport = "stow" does not know port'),
        (STOW + 'ae_title = "X"\nhost = "y"\n', 'transport = "stow" does not know ae_title, host'),
        (STOW.replace("url", "# url"), 'transport = "stow" needs url'),
        (STOW.replace('"stow"', '"dimse"'), 'transport = "dimse" does not know url'),
        ('[[destinations]]\nname = "a"\n', 'transport = "dimse" needs ae_title, port'),
        (STOW.replace('"stow"', '"ftp"'), "destinations.0.transport"),
        (STOW.replace("https", "ftp"), "destinations.0.url"),
        (STOW.replace("pacs/", "me:pw@pacs/"), "holds no login"),
        (STOW.replace("web/", "web?key=1"), "no query"),
        (STOW + 'token = "a"\ntoken_file = "b"\n', "only one of token"),
        (STOW + 'username = "a"\n', "username needs password"),
        (STOW + 'password = "a"\n', "password needs username"),
        (STOW + 'key_file = "a"\n', "key_file needs certificate_file"),
        (STOW.replace("https", "http") + 'ca_file = "a"\n', "begins with https"),
    ],
)
def test_a_destination_has_the_keys_of_its_transport(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings.load(written(tmp_path, text))
    assert sentence in str(caught.value)


def test_a_token_stands_in_no_message(tmp_path: Path) -> None:
    """Nor in the error behind it, which a log might show."""
    with pytest.raises(ConfigurationError) as caught:
        settings.load(written(tmp_path, STOW + 'token = "s3cret"\nport = 1\n'))
    assert "s3cret" not in f"{caught.value}{caught.value.__cause__}"
    (one,) = settings.load(written(tmp_path, STOW + 'token = "s3cret"\n')).destinations
    assert "s3cret" not in repr(one)


def test_two_destinations_of_one_name_are_refused(tmp_path: Path) -> None:
    one = '[[destinations]]\nname = "pacs"\nae_title = "X"\nport = 1\n'
    with pytest.raises(ConfigurationError, match="same name"):
        settings.load(written(tmp_path, one + one))


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no configuration file"):
        settings.load(tmp_path / "missing.toml")


DESTINATION = """
[results]
heatmap = "lesions"
key_images = true
[[destinations]]
name = "pacs"
ae_title = "PACS"
port = 104
[[destinations]]
name = "viewer"
transport = "stow"
url = "https://viewer/dicom-web"
[destinations.results]
heatmap = "all"
parametric_map = "float32"
"""


def test_a_destination_gets_what_it_says_and_otherwise_what_all_get(tmp_path: Path) -> None:
    values = settings.load(written(tmp_path, DESTINATION))
    pacs, viewer = (values.results_for(one) for one in values.destinations)
    assert (pacs.heatmap, pacs.key_images, pacs.parametric_map) == ("lesions", True, "off")
    assert (viewer.heatmap, viewer.key_images, viewer.parametric_map) == ("all", True, "float32")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('transfer_syntax = "implicit"', "STOW-RS knows no"),
        ('report = "basic"', "results.report"),
        ('series_descriptions = { report = "AI report" }', "series_descriptions"),
        ('series_descriptions = { waveform = "Research" }', "series_descriptions"),
        ("series_number_base = 0", "series_number_base"),
    ],
)
def test_a_wrong_profile_is_refused_with_a_sentence(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        settings.load(written(tmp_path, DESTINATION + line))


ASKED = '[[peers]]\nae_title = "PACS"\nask = "find"\n'
QIDO = ASKED + 'url = "https://pacs/dicom-web/"\n'


def test_a_peer_is_asked_only_where_it_is_said(tmp_path: Path) -> None:
    loaded = settings.load(written(tmp_path, ASKED + '[[peers]]\nae_title = "MR"\nport = 104\n'))
    assert [one.ask for one in loaded.peers] == ["find", "off"]
    assert bootstrap.sources(loaded).keys() == {"PACS"}


def test_a_peer_is_asked_by_dicomweb_and_sends_by_c_move(tmp_path: Path) -> None:
    text = QIDO.replace("find", "move") + 'username = "a"\npassword = "b"\nca_file = "c"\n'
    loaded = settings.load(written(tmp_path, text + '[node]\nae_title = "NODE"\n'))
    source = bootstrap.sources(loaded)["PACS"]
    assert source.at == WebDestination(
        name="PACS",
        url="https://pacs/dicom-web",
        username="a",
        password=SecretStr("b"),
        ca_file=Path("c"),
    )
    assert source.mover == Destination(name="PACS", ae_title="PACS", host="127.0.0.1", port=104)
    assert source.calling_ae == "NODE"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ASKED.replace("find", "get"), "peers.0.ask"),
        (QIDO.replace("find", "off"), 'url needs ask = "find" or ask = "move"'),
        (ASKED + 'token = "a"\n', "token needs url"),
        (QIDO + 'username = "a"\n', "username needs password"),
        (QIDO.replace("https", "http") + 'ca_file = "a"\n', "begins with https"),
        (QIDO.replace("https", "ftp"), "peers.0.url"),
        (ASKED + 'host = "10.0.0.0/8"\n', 'ask = "find" needs one host'),
        (QIDO.replace("find", "move") + 'host = "10.0.0.0/8"\n', 'ask = "move" needs one host'),
        ('[completion]\nexpected_series = ["("]\n', "no regular expression"),
        ("[completion]\nwait_seconds = -1\n", "completion.wait_seconds"),
    ],
)
def test_a_mistake_in_what_may_be_asked_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        settings.load(written(tmp_path, text))


def test_a_network_of_senders_may_be_asked_at_one_url(tmp_path: Path) -> None:
    (one,) = settings.load(written(tmp_path, QIDO + 'host = "10.0.0.0/8"\n')).peers
    assert one.ask == "find"
