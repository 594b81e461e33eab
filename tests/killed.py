"""What must hold of a site after all kills: the four zeros, and that bytes are what they were."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom

from agent.dicom import part10
from killing import SLICES, Sent, Site
from storage import results, studies
from storage.database import open_database
from storage.enums import TERMINAL_STATES, StudyState
from storage.files import FileStore
from storage.records import Instance, ResultObject, SopUid, Study, StudyKey, StudyUid


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
    with database.read() as session:
        revisions = studies.list_studies(session, limit=100_000)
        node = _Node(
            store=FileStore(site.listener.folder / "data", reserve_bytes=0),
            newest={one.study_uid: one for one in sorted(revisions, key=lambda one: one.revision)},
            inputs={one.key: studies.instances_of(session, one.key) for one in revisions},
            objects={one.key: results.objects_of(session, one.key) for one in revisions},
            arrived={_sop_uid(path): path for path in site.pacs.received()},
        )
    database.close()
    ended = [one for one in revisions if one.state in TERMINAL_STATES]
    return Verdict(
        studies=len(site.sent),
        revisions=len(revisions),
        lost=[sent.study_uid for sent in site.sent if not node.has_result(sent.study_uid)],
        stuck=[f"{one.key} {one.state}" for one in revisions if one not in ended],
        failed=[f"{one.key} {one.state} {one.error}" for one in ended if _is_bad(one)],
        doubled=[*node.doubled_here(), *node.only_at_the_pacs()],
        absent=[uid for sent in site.sent for uid in node.absent(sent)],
        changed=list(node.changed()),
        silent=[uid for sent in site.sent for uid in sent.silent],
    )


@dataclass(frozen=True, kw_only=True)
class _Node:
    """What the node holds, and what has arrived at the PACS by UID."""

    store: FileStore
    newest: dict[StudyUid, Study]
    inputs: dict[StudyKey, tuple[Instance, ...]]
    objects: dict[StudyKey, tuple[ResultObject, ...]]
    arrived: dict[str, Path]

    def has_result(self, study_uid: str) -> bool:
        """Whether the result of the newest revision is at the PACS."""
        newest = self.newest.get(StudyUid(study_uid))
        made = self.objects[newest.key] if newest else ()
        return bool(made) and all(one.sop_uid in self.arrived for one in made)

    def absent(self, sent: Sent) -> Iterator[str]:
        """What was acknowledged and is not here as it was sent."""
        newest = self.newest.get(StudyUid(sent.study_uid))
        rows = {one.sop_uid: one for one in self.inputs[newest.key]} if newest else {}
        for path in sent.images:
            image = pydicom.dcmread(path)
            row = rows.get(SopUid(str(image.SOPInstanceUID)))
            if image.SOPInstanceUID in sent.acknowledged and (
                row is None or not _holds(self.store.path_of(row.path), image.PixelData)
            ):
                yield str(image.SOPInstanceUID)

    def doubled_here(self) -> Iterator[str]:
        """Revisions with two results of a kind."""
        for key, made in self.objects.items():
            roles = Counter(one.role for one in made)
            if any(count > 1 for count in roles.values()):
                yield f"{key} {dict(roles)}"

    def only_at_the_pacs(self) -> Iterator[str]:
        """Objects under UIDs that the node does not stand by: results with two of them."""
        known = {one.sop_uid for made in self.objects.values() for one in made}
        yield from (f"at the PACS only: {uid}" for uid in self.arrived.keys() - known)

    def changed(self) -> Iterator[str]:
        """Results whose bytes differ from what the row says, or from what the PACS got."""
        for key, made in self.objects.items():
            for one in made:
                kept = self.store.path_of(one.path).read_bytes()
                there = self.arrived.get(one.sop_uid)
                same = there is None or _content(there.read_bytes()) == _content(kept)
                if hashlib.sha256(kept).hexdigest() != one.sha256 or not same:
                    yield f"{key} {one.role}"


def _sop_uid(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def _is_bad(study: Study) -> bool:
    """A revision of a few images is rightly refused; one of all must have been read."""
    if study.state is StudyState.NOT_ANALYSED:
        return study.instance_count == SLICES
    return study.state is not StudyState.DELIVERED


def _content(file: bytes) -> bytes:
    """The data set without the file header, which the receiver writes anew."""
    return bytes(part10.parse(file).encoded)


def _holds(file: Path, pixels: bytes) -> bool:
    return file.exists() and pydicom.dcmread(file).PixelData == pixels
