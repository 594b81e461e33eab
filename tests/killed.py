"""What must hold of a site after all kills: the four zeros, and that bytes are what they were."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pydicom

from agent.dicom import part10
from killing import Site
from storage import results, studies
from storage.database import open_database
from storage.files import FileStore
from storage.records import TERMINAL_STATES, Study, StudyState


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Everything that should be nothing, and how many studies there were."""

    studies: int
    revisions: int
    lost: list[str]  # sent whole and acknowledged, and no result of the newest revision at the PACS
    stuck: list[str]  # not ended
    failed: list[str]  # ended, but not with a result of the model
    doubled: list[str]  # more than one report or segmentation of a revision, here or at the PACS
    absent: list[str]  # acknowledged, and no row or no file with these pixels
    changed: list[str]  # a result whose bytes are not those that were kept
    silent: list[str]  # images of associations that broke off without an answer

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong. Silence is part of being killed."""
        return not (
            self.lost or self.stuck or self.failed or self.doubled or self.absent or self.changed
        )

    def line(self) -> str:
        """The figures in one line."""
        names = ("lost", "stuck", "failed", "doubled", "absent", "changed")
        counted = ", ".join(f"{len(getattr(self, name))} {name}" for name in names)
        return f"{self.studies} studies ({self.revisions} revisions): {counted}"


def examine(site: Site) -> Verdict:
    """Look at the database, the files and the PACS."""
    database = open_database(site.listener.url)
    store = FileStore(site.listener.folder / "data", reserve_bytes=0)
    with database.read() as session:
        revisions = studies.list_studies(session, limit=100_000)
        inputs = {one.key: studies.instances_of(session, one.key) for one in revisions}
        objects = {one.key: results.objects_of(session, one.key) for one in revisions}
    database.close()
    newest: dict[str, Study] = {}
    for one in revisions:
        if one.study_uid not in newest or one.revision > newest[one.study_uid].revision:
            newest[one.study_uid] = one
    arrived = {
        str(header.SOPInstanceUID): path
        for path in site.pacs.received()
        for header in [pydicom.dcmread(path, stop_before_pixels=True)]
    }
    lost, absent, doubled, changed = [], [], [], []
    for sent in site.sent:
        latest = newest.get(sent.study_uid)
        here = objects[latest.key] if latest else ()
        if not here or any(item.sop_uid not in arrived for item in here):
            lost.append(sent.study_uid)
        rows = {item.sop_uid: item for item in inputs[latest.key]} if latest else {}
        for path in sent.images:
            image = pydicom.dcmread(path)
            row = rows.get(image.SOPInstanceUID)
            if image.SOPInstanceUID in sent.acknowledged and (
                row is None or not _holds(store.path_of(row.path), image.PixelData)
            ):
                absent.append(str(image.SOPInstanceUID))
    for one in revisions:
        roles = Counter(item.role for item in objects[one.key])
        if any(count > 1 for count in roles.values()):
            doubled.append(f"{one.key} here: {dict(roles)}")
        for item in objects[one.key]:
            kept = store.path_of(item.path).read_bytes()
            there = arrived.get(item.sop_uid)
            if hashlib.sha256(kept).hexdigest() != item.sha256 or (
                there is not None and _content(there.read_bytes()) != _content(kept)
            ):
                changed.append(f"{one.key} {item.role}")
    known = {item.sop_uid for group in objects.values() for item in group}
    doubled += [f"at the PACS only: {one}" for one in arrived.keys() - known]
    return Verdict(
        studies=len(site.sent),
        revisions=len(revisions),
        lost=lost,
        stuck=[f"{one.key} {one.state}" for one in revisions if one.state not in TERMINAL_STATES],
        failed=[
            f"{one.key} {one.state} {one.error}"
            for one in revisions
            if one.state in TERMINAL_STATES and _is_bad(one)
        ],
        doubled=doubled,
        absent=absent,
        changed=changed,
        silent=[uid for sent in site.sent for uid in sent.silent],
    )


def _is_bad(study: Study) -> bool:
    """A revision of a few images is rightly refused; one of all must have been read."""
    if study.state is StudyState.NOT_ANALYSED:
        return study.instance_count == 16
    return study.state is not StudyState.DELIVERED


def _content(file: bytes) -> bytes:
    """The data set without the file header, which the receiver writes anew."""
    return bytes(part10.parse(file).encoded)


def _holds(file: Path, pixels: bytes) -> bool:
    return file.exists() and pydicom.dcmread(file).PixelData == pixels
