"""The hospital pack holds together: documents, model, software, configuration, digests."""

import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import ComponentType
from typer.testing import CliRunner

from agent import settings
from agent.cli import app
from agent.hospital_pack import folder, sbom

SECRET = "open-sesame"
CONFIGURATION = f"""
[node]
data_dir = "data"
port = 0
[status]
enabled = false
[[destinations]]
name = "web"
transport = "stow"
url = "https://pacs.example/dicom-web"
username = "node"
password = "{SECRET}"
"""


class Links(HTMLParser):
    """Where a page leads to and which pictures it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.targets.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def links(file: Path) -> Links:
    """Everything a page points to."""
    found = Links()
    found.feed(file.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack as the command writes it."""
    site = tmp_path_factory.mktemp("site")
    file = site / "agent.toml"
    file.write_text(CONFIGURATION.replace('"data"', f'"{(site / "data").as_posix()}"'), "utf-8")
    target = site / "pack"
    said = CliRunner().invoke(app, ["doctor", "--pack", str(target), "--config", str(file)])
    # The destination does not answer, and the pack is written all the same.
    assert said.exit_code == 1
    assert (target / "SHA256SUMS").exists(), said.exception
    return target


def test_every_document_lies_there_as_text_and_as_page(pack: Path) -> None:
    for source in (folder.documents() / "docs").glob("*.md"):
        copy = pack / "deploy" / "docs" / source.name
        assert copy.read_bytes() == source.read_bytes()
        assert "RESEARCH USE ONLY" in copy.with_suffix(".html").read_text("utf-8")


def test_every_link_of_every_page_leads_to_something_in_the_pack(pack: Path) -> None:
    pages = sorted(pack.rglob("*.html"))
    assert len(pages) > 12
    for page in pages:
        for target in links(page).targets:
            if target.startswith(("https:", "http:", "mailto:")):
                continue
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            assert file.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in links(file).anchors, f"{page.name}: {target}"


def test_no_page_loads_anything_from_elsewhere(pack: Path) -> None:
    for page in pack.rglob("*.html"):
        assert not re.search(r'(src|@import|url\()\s*=?\s*"?https?:', page.read_text("utf-8"))


def test_the_index_tells_of_the_site(pack: Path) -> None:
    text = (pack / "index.html").read_text("utf-8")
    for said in ("NEUROSIEVE", metadata.version("neurosieve"), "flair-dae-gan", "destination web"):
        assert said in text


def test_no_secret_is_in_the_pack(pack: Path) -> None:
    for file in pack.rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file
    shown = json.loads((pack / "configuration.json").read_text("utf-8"))
    assert shown["destinations"][0]["password"] == "not shown"


def test_a_login_in_an_address_is_no_part_of_the_configuration() -> None:
    node = settings.NodeSettings(database_url=f"postgresql+psycopg://node:{SECRET}@db/neurosieve")
    text = folder.configuration(settings.Settings(node=node))
    assert SECRET not in text
    assert "db/neurosieve" in text


def test_the_bill_names_all_that_is_needed_with_licence_and_version(pack: Path) -> None:
    bill = Bom.from_json(json.loads((pack / "sbom.cdx.json").read_text("utf-8")))  # type: ignore[attr-defined]
    parts = {one.name: one for one in bill.components}
    for name in ("numpy", "pydicom", "pynetdicom", "highdicom", "sqlalchemy", "typer", "dbos"):
        assert parts[name].version == metadata.version(name)
        assert parts[name].licenses
    assert [one.name for one in bill.components if one.type is ComponentType.MACHINE_LEARNING_MODEL]
    assert "pytest" not in parts


def test_nothing_under_gpl_is_linked_in(pack: Path) -> None:
    written = json.loads((pack / "sbom.cdx.json").read_text("utf-8"))
    for part in written["components"]:
        said = json.dumps(part.get("licenses", ""))
        assert not re.search(r"(?<!L)A?GPL", said), part["name"]


def test_what_a_package_needs_is_found_through_others() -> None:
    assert "mdurl" in sbom.installed()  # markdown-it-py needs it, nobody else


def test_the_digests_are_those_of_all_files(pack: Path) -> None:
    lines = (pack / "SHA256SUMS").read_text("utf-8").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    there = {one.relative_to(pack).as_posix() for one in pack.rglob("*") if one.is_file()}
    assert there - {"SHA256SUMS"} == set(listed)
    for name, digest in listed.items():
        assert hashlib.sha256((pack / name).read_bytes()).hexdigest() == digest


def test_a_folder_that_holds_something_is_refused(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(f'[node]\ndata_dir = "{tmp_path / "data"}"\n', "utf-8")
    said = CliRunner().invoke(
        app, ["doctor", "--pack", str(pack), "--config", str(tmp_path / "agent.toml")]
    )
    assert said.exit_code == 1
    assert "not empty" in said.output
