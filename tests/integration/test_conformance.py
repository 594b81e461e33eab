"""The conformance statement says what the code does: its tables are compared with both."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

import builders
import object_checks
import results
from agent.dicom import codes
from agent.dicom.objects import report
from storage.enums import Role
from validators import EXPLAINED

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TEXT = (DEPLOY / "docs" / "conformance.md").read_text("utf-8")
COMMON = "A.1 Common to all objects"
SECTIONS = {
    Role.SEGMENTATION: "A.2 Segmentation",
    Role.REPORT: "A.3 Report",
    Role.HEATMAP: "A.4 Heatmap",
    Role.PARAMETRIC_MAP: "A.5 Parametric Map",
    Role.KEY_IMAGES: "A.6 Key images",
    Role.REJECTION_NOTE: "A.7 Rejection note",
    Role.DERIVED_SERIES: "A.8 Derived MR",
}
_ROW = re.compile(r"^\| (\w+) \| \((\w{4},\w{4})\) \| (.*) \|$", re.MULTILINE)


def section(title: str) -> str:
    """The text below a heading of the third level."""
    return TEXT.partition(f"\n### {title}\n")[2].partition("\n### ")[0].partition("\n## ")[0]


def described(title: str) -> dict[str, list[str]]:
    """The further cells of each attribute's row, by keyword."""
    return {row[1]: row[3].split(" | ") for row in _ROW.finditer(section(title))}


@pytest.fixture(scope="module")
def made() -> dict[Role, list[Dataset]]:
    """Objects of each role and form, of a series that was once compressed with loss."""
    series = builders.flair_series(slices=24)
    for image in series:
        image.LossyImageCompression = "01"
        image.LossyImageCompressionRatio = "10"
        image.LossyImageCompressionMethod = "ISO_10918_1"
    case = results.analysed(series)
    found: dict[Role, list[Dataset]] = {role: [] for role in Role}
    for role, dataset in object_checks.objects(case, object_checks.EVERYTHING):
        found[role].append(dataset)
    for role, profile in object_checks.VARIANTS.values():
        found[role] += [one for kind, one in object_checks.objects(case, profile) if kind is role]
    refused = results.not_analysed(series)
    found[Role.REPORT].append(report.build(refused, findings=None, segmentation=None))
    return found


@pytest.mark.parametrize("role", SECTIONS)
def test_every_attribute_of_an_object_is_described_and_no_other(
    role: Role, made: dict[Role, list[Dataset]]
) -> None:
    present = {element.keyword for dataset in made[role] for element in dataset}
    assert set(described(SECTIONS[role])) == present - set(described(COMMON))


@pytest.mark.parametrize("role", SECTIONS)
def test_constants_are_those_that_stand_in_the_objects(
    role: Role, made: dict[Role, list[Dataset]]
) -> None:
    for keyword, (_, value, origin) in described(SECTIONS[role]).items():
        if origin == "constant" and re.fullmatch(r"[A-Z0-9_\\]+|empty", value):
            for dataset in made[role]:
                assert (keyword, _written(dataset, keyword)) == (keyword, value)


def test_tags_are_those_of_the_dictionary() -> None:
    for row in _ROW.finditer(TEXT):
        tag = tag_for_keyword(row[1])
        assert tag is not None, row[1]
        assert row[2] == f"{tag >> 16:04X},{tag & 0xFFFF:04X}", row[1]


@pytest.mark.parametrize("role", [Role.REPORT, Role.KEY_IMAGES, Role.REJECTION_NOTE])
def test_every_concept_of_a_document_stands_in_its_tree(
    role: Role, made: dict[Role, list[Dataset]]
) -> None:
    text = section(SECTIONS[role])
    said = {value for dataset in made[role] for value in _concepts(dataset)}
    same = section("A.6 Key images") if role is Role.REJECTION_NOTE else ""  # it says "as above"
    assert [value for value in sorted(said) if value not in text + same] == []


def test_every_private_code_is_listed() -> None:
    private = {
        code.value
        for code in (*vars(codes).values(), *codes._REASONS.values(), codes._OTHER_REASON)
        if getattr(code, "scheme_designator", "") == codes.PRIVATE_SCHEME
    }
    assert [value for value in private if f"| {value} | {codes.PRIVATE_SCHEME} |" not in TEXT] == []


def test_every_explained_warning_is_told() -> None:
    assert [text for text, why in EXPLAINED.items() if f"| {text} | {why} |" not in TEXT] == []


def test_links_within_the_document_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


def _written(dataset: Dataset, keyword: str) -> str:
    """A value as the document writes it."""
    value = dataset[keyword].value
    if dataset[keyword].is_empty:
        return "empty"
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)


def _concepts(dataset: Dataset) -> Iterator[str]:
    """Code values of the names and of the coded values of a content tree."""
    for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
        for item in dataset.get(keyword) or ():
            yield str(item.CodeValue)
    for item in dataset.get("ContentSequence") or ():
        yield from _concepts(item)
