"""Writing into the configuration file: a table more, everything else as it stood."""

import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import tomlkit
from tomlkit.items import Array

from agent import settings
from agent.errors import ConfigurationError


def add_destination(file: Path, values: Mapping[str, object]) -> None:
    """Add a `[[destinations]]` table, and make the file where there is none.

    The whole file is validated before it is replaced; ConfigurationError says what is wrong.
    """
    content = file.read_bytes() if file.exists() else b""
    name = values["name"]
    if any(one.name == name for one in settings.parse(content, file).destinations):
        raise ConfigurationError(f"{file} has a destination {name} already.")
    result = _with_destination(content.decode("utf-8"), values).encode("utf-8")
    settings.parse(result, file)
    _replace(file.resolve(), result)  # a link stays a link


def _with_destination(text: str, values: Mapping[str, object]) -> str:
    present = tomlkit.parse(text).get("destinations")
    if isinstance(present, Array):  # destinations = [{...}], to which no table can be added
        return _with_inline_table(text, values)
    # At the end, where the rest stays to the byte: put after the last of its kind by tomlkit it
    # would part the comment above the next table from that table.
    end = "" if not text or text.endswith("\n") else "\n"
    gap = "\n" if text else ""
    return f"{text}{end}{gap}{tomlkit.dumps({'destinations': [dict(values)]})}"


def _with_inline_table(text: str, values: Mapping[str, object]) -> str:
    document = tomlkit.parse(text)
    table = tomlkit.inline_table()
    table.update(values)
    document["destinations"].append(table)
    return tomlkit.dumps(document)


def _replace(file: Path, content: bytes) -> None:
    """Put the content there in one step, with the owner and mode that the file had."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    temporary = Path(name)  # readable by us alone: it may hold a password
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        if file.exists():
            _copy_rights(file, temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _copy_rights(source: Path, target: Path) -> None:
    kept = source.stat()
    if sys.platform != "win32" and (kept.st_uid, kept.st_gid) != (os.getuid(), os.getgid()):
        os.chown(target, kept.st_uid, kept.st_gid)
    target.chmod(stat.S_IMODE(kept.st_mode))
