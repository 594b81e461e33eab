"""The documents say what is there: their tables, links, commands, keys, tests and benchmarks."""

import re
import shlex
from collections.abc import Iterator
from enum import StrEnum
from itertools import product
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

import documents
import operation
from agent import settings
from agent.cli import app
from agent.hospital_pack import pages
from agent.imaging.results import Reason
from agent.status.alarms import Kind
from storage.enums import Mark, StudyState

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "deploy" / "docs"
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "deploy").rglob("*.md")))
}
WANTED = (
    *("README", "manual", "conformance", "ihe", "intended-use", "data-flow", "security", "mds2"),
    *("performance", "reliability", "upgrade"),
)
COMMANDS = dict(operation.leaves(typer.main.get_command(app), "neurosieve"))
FILES = ("onnx", "toml")  # model.toml is no key
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SPAN = re.compile(r"`([^`\n]+)`")
_TEST = re.compile(r"\btests/[\w/]+\.py(?:::\w+)?")
_TOOL = re.compile(r"\bpython ((?:tests|deploy)/[\w/]+\.py)")
_CONSOLE = re.compile(r"^\$ (neurosieve .*)$", re.MULTILINE)


@pytest.mark.parametrize("path", documents.made(), ids=lambda path: path.name)
def test_what_follows_from_the_code_is_up_to_date(path: Path) -> None:
    """Else run `python deploy/tools/documents.py`."""
    assert path.read_text("utf-8") == documents.made()[path]


@pytest.mark.parametrize("name", WANTED)
def test_every_document_a_hospital_asks_for_is_there_and_in_the_index(name: str) -> None:
    assert (DOCS / f"{name}.md").exists()
    assert name == "README" or f"({name}.md)" in TEXTS["deploy/docs/README.md"]


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in _LINK.findall(TEXTS[name]):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        path = ((ROOT / name).parent / file).resolve() if file else ROOT / name
        assert path.exists(), target
        if anchor:
            assert anchor in set(anchors(path.read_text("utf-8"))), target


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_and_option_exists(name: str) -> None:
    for line in commands_in(TEXTS[name]):
        check_command(line)


@pytest.mark.parametrize("name", TEXTS)
def test_every_key_of_the_configuration_exists(name: str) -> None:
    known = set(keys(settings.Settings))
    sections = {key.partition(".")[0] for key in known}
    for span in _SPAN.findall(TEXTS[name]):
        key = span.partition(" =")[0]
        section, _, name = key.partition(".")
        if re.fullmatch(r"[a-z_]+", name) and section in sections and name not in FILES:
            assert key in known, span


@pytest.mark.parametrize("name", TEXTS)
def test_every_test_and_benchmark_exists(name: str) -> None:
    for found in _TEST.findall(TEXTS[name]):
        file, _, function = found.partition("::")
        assert (ROOT / file).exists(), found
        assert not function or f"def {function}(" in (ROOT / file).read_text("utf-8"), found
    for found in _TOOL.findall(TEXTS[name]):
        assert (ROOT / found).exists(), found


@pytest.mark.parametrize("words", [Kind, Reason, StudyState, Mark])
def test_the_manual_tells_of_every_alarm_reason_state_and_mark(words: type[StrEnum]) -> None:
    missing = [one.value for one in words if f"`{one.value}`" not in TEXTS["deploy/docs/manual.md"]]
    assert not missing


def test_a_command_that_does_not_exist_would_be_seen() -> None:
    with pytest.raises(AssertionError):
        check_command("neurosieve studies forget")
    with pytest.raises(AssertionError):
        check_command("neurosieve studies list --everything")


def anchors(text: str) -> Iterator[str]:
    """What headings are called in links."""
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        yield pages.anchor(heading)


def commands_in(text: str) -> Iterator[str]:
    """The commands of the product in spans and console blocks."""
    spans = [one for one in _SPAN.findall(text) if one.startswith("neurosieve ")]
    yield from (*spans, *_CONSOLE.findall(text))


def check_command(line: str) -> None:
    """The command exists, and so do its options; `list|show` stands for several commands."""
    words = shlex.split(line.partition(" | ")[0].replace("\\|", "|"))
    choices = [one.split("|") for one in words[:3] if re.fullmatch(r"[a-z|]+", one)]
    for path in map(" ".join, product(*choices)):
        named = [one for one in COMMANDS if path == one or path.startswith(f"{one} ")]
        group = any(one.startswith(f"{path} ") for one in COMMANDS)
        assert named or group or path == "neurosieve", line
        options = {name for one in named for option in COMMANDS[one].params for name in option.opts}
        for word in words:
            assert word in ("--help", "--version") or not word.startswith("--") or word in options


def keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key as `section.key`, also of the tables that may be repeated."""
    for name, field in section.model_fields.items():
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
        yield f"{prefix}{name}"
        for one in models:
            yield from keys(one, f"{name}.")
