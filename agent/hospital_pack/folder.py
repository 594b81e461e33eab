"""The pack as a folder: documents, model in force, software, configuration, what doctor said."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

from pydantic import SecretStr

import agent
from agent import inference
from agent.errors import ConfigurationError
from agent.hospital_pack import pages, sbom
from agent.model_toml import ModelDescription
from agent.settings import Settings

_PACKAGE = Path(agent.__file__).parent
# In a wheel the documents lie in the package, in a checkout beside it.
_DEPLOY = (_PACKAGE / "deploy", _PACKAGE.parent / "deploy")
_KINDS = (".md", ".svg", ".png", ".toml", ".yaml", ".json")
_LEFT_OUT = ("helm", "tools", "containers", "__pycache__")
_OF_MODEL = ("card.md", "report.md", "model.toml", "evaluation.json", "figures/*.png")
_LOGIN_IN_URL = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True, kw_only=True)
class Site:
    """What only an installation knows. `model_folder` is that of the model in force; `checks` are
    the rows of `neurosieve doctor`."""

    settings: Settings
    model: ModelDescription
    model_folder: Path
    checks: Sequence[Mapping[str, object]]
    version: str
    made_at: datetime


def write(target: Path, site: Site) -> None:
    """Write the pack. Raises ConfigurationError where the folder holds something already."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(
            f"{target} is there and not empty: name a new folder, so that no two packs mix."
        )
    deploy, shipped = documents(), inference.default_folder()
    _copy(deploy, target / "deploy", _documents(deploy))
    _copy(site.model_folder, target / "model", _of_model(site.model_folder))
    linked = target / shipped.relative_to(_PACKAGE.parent)  # where the documents' links lead
    _copy(shipped, linked, _of_model(shipped))
    _write(target / "sbom.cdx.json", sbom.make(site.model))
    _write(target / "configuration.json", configuration(site.settings))
    _write(target / "doctor.json", json.dumps(site.checks, indent=1, default=str))
    for file in sorted(target.rglob("*.md")):
        place = file.relative_to(target).as_posix()
        text = file.read_text(encoding="utf-8")
        made = pages.page(text, place=place, exists=lambda path: (target / path).is_file())
        _write(file.with_suffix(".html"), made)
    _write(target / "index.html", _index(target, site))
    _write(target / "SHA256SUMS", "".join(_sums(target)))


def documents() -> Path:
    """Where the documents of this installation lie."""
    for folder in _DEPLOY:
        if (folder / "docs").is_dir():
            return folder
    raise ConfigurationError("The documents are missing: install NeuroSieve from its wheel again.")


def configuration(settings: Settings) -> str:
    """The configuration in force as JSON, defaults included and secrets left out."""

    def shown(value: object) -> str:
        return "not shown" if isinstance(value, SecretStr) else str(value)

    text = json.dumps(settings.model_dump(), indent=1, default=shown)
    return _LOGIN_IN_URL.sub("//not-shown@", text)


def _documents(source: Path) -> Iterator[Path]:
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.suffix in _KINDS and inside.parts[0] not in _LEFT_OUT:
            yield inside


def _of_model(folder: Path) -> Iterator[Path]:
    for pattern in _OF_MODEL:
        yield from (path.relative_to(folder) for path in sorted(folder.glob(pattern)))


def _copy(source: Path, target: Path, files: Iterable[Path]) -> None:
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _index(target: Path, site: Site) -> str:
    """The first page: whose pack it is, how the node is, and where everything lies."""
    facts = {
        "AE title": site.settings.node.ae_title,
        "software": f"neurosieve {site.version}",
        "model in force": f"{site.model.name} {site.model.version}",
        "thresholds": f"{site.model.thresholds.version}: {site.model.operating_point}",
        "made at": f"{site.made_at:%Y-%m-%d %H:%M %Z}",
    }
    places = [
        *(("deploy/docs/README.html", "Documents"), ("deploy/README.html", "Deployment")),
        *((f"model/{name}.html", f"Model {name}") for name in ("card", "report")),
        ("sbom.cdx.json", "Software inside (SBOM, CycloneDX 1.6)"),
        ("configuration.json", "Configuration in force, without secrets"),
        ("doctor.json", "What doctor found, as below"),
    ]
    links = "".join(
        f'<li><a href="{place}">{escape(title)}</a></li>'
        for place, title in places
        if (target / place).exists()
    )
    return pages.document(
        f"NeuroSieve at {site.settings.node.ae_title}",
        f"<h1>NeuroSieve: hospital pack</h1>{_table(facts.items())}<ul>{links}</ul>"
        f"<h2>doctor</h2>{_table(one.values() for one in site.checks)}"
        "<p><code>sha256sum --check SHA256SUMS</code> shows that nothing was changed.</p>",
    )


def _table(rows: Iterable[Iterable[object]]) -> str:
    lines = (
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{''.join(lines)}</table>"


def _sums(target: Path) -> Iterator[str]:
    for file in sorted(path for path in target.rglob("*") if path.is_file()):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        yield f"{digest}  {file.relative_to(target).as_posix()}\n"
