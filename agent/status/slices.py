"""Slices of a study as PNG: source, anomaly map and mask, drawn from what is stored."""

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

from agent.dicom import volumes, windows
from agent.imaging import archive
from agent.imaging.render import Painter
from agent.imaging.results import Findings
from agent.steps import FINDINGS_FILE
from storage import results, studies
from storage.database import Database
from storage.errors import NotFound
from storage.records import StudyKey
from storage.store import Store

THUMBNAIL_SIDE = 128  # pixels
_MOST_OPEN = 3  # studies whose volumes are held, some 50 MB each
_MOST_THUMBNAILS = 500


class View(StrEnum):
    """What one sees of a slice."""

    SOURCE = "source"
    MAP = "map"
    MASK = "mask"


@dataclass(frozen=True, kw_only=True)
class _Open:
    painter: Painter
    findings: Findings


class Slices:
    """Draws slices, and keeps the last studies at hand."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store
        self._lock = threading.Lock()  # one study is opened at a time: they are large
        self._opened: OrderedDict[tuple[StudyKey, str], _Open] = OrderedDict()
        self._thumbnails: OrderedDict[tuple[StudyKey, str], bytes] = OrderedDict()

    def png(self, key: StudyKey, index: int, view: View) -> bytes:
        """One slice. Raises NotFound where there is none."""
        opened = self._open(key)
        if not 0 <= index < len(opened.findings.labels):
            raise NotFound(f"Study {key} has no slice {index + 1}.")
        return _encoded(_drawn(opened, index, view))

    def thumbnail(self, key: StudyKey) -> bytes:
        """The slice with the highest score, small."""
        stamp = self._stamp(key)
        if stamp not in self._thumbnails:
            opened = self._open(key)
            index = int(np.argmax(opened.findings.slice_scores))
            picture = opened.painter.marked(index)
            picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            self._thumbnails[stamp] = _encoded(picture)
            if len(self._thumbnails) > _MOST_THUMBNAILS:
                self._thumbnails.popitem(last=False)
        return self._thumbnails[stamp]

    def _stamp(self, key: StudyKey) -> tuple[StudyKey, str]:
        with self._database.read() as session:
            analysis = results.analysis_of(session, key)
        if analysis is None or analysis.series_uid is None or analysis.study_score is None:
            raise NotFound(f"Study {key} has no findings to show.")
        return key, analysis.created_at.isoformat()

    def _open(self, key: StudyKey) -> _Open:
        stamp = self._stamp(key)
        with self._lock:
            if stamp not in self._opened:
                self._opened[stamp] = self._load(key)
                if len(self._opened) > _MOST_OPEN:
                    self._opened.popitem(last=False)
            self._opened.move_to_end(stamp)
            return self._opened[stamp]

    def _load(self, key: StudyKey) -> _Open:
        with self._database.read() as session:
            analysis = results.analysis_of(session, key)
            instances = studies.instances_of(session, key)
        wanted = analysis.series_uid if analysis else None
        paths = self._store.paths_of(one.path for one in instances if one.series_uid == wanted)
        findings = archive.from_bytes(self._store.read(self._store.result_path(key, FINDINGS_FILE)))
        loaded = volumes.load(paths)
        painter = Painter(loaded.volume, findings, windows=windows.stated(loaded.source))
        return _Open(painter=painter, findings=findings)


def _drawn(opened: _Open, index: int, view: View) -> Image.Image:
    if view is View.SOURCE:
        return opened.painter.plain(index)
    if view is View.MAP:
        return opened.painter.marked(index)
    mask = (opened.findings.labels[index] > 0).astype(np.uint8) * np.uint8(255)
    size = opened.painter.plain(index).size
    return Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
