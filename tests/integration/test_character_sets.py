"""Names in any script come back as they were, whatever the images say of their character set."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

import stored_series
from agent.dicom.objects.profiles import Syntax
from object_checks import EVERYTHING, objects
from results import Analysed


@dataclass(frozen=True, kw_only=True)
class Script:
    """A character set as the header names it, and texts in it."""

    charset: str
    name: bytes
    description: bytes = b"AX T2 FLAIR"


def japanese(text: str) -> bytes:
    """JIS X 0208 with the escapes of PS3.5 H.3, back in ASCII before each delimiter."""
    parts = [part.encode("iso2022_jp") for part in text.split("^")]
    return b"^".join(parts)


SCRIPTS = {
    "Japanese": Script(
        charset="\\ISO 2022 IR 87",
        name=b"Yamada^Tarou=" + japanese("山田^太郎") + b"=" + japanese("やまだ^たろう"),
        description=japanese("頭部") + b" T2 FLAIR",
    ),
    "half-width Japanese": Script(
        charset="ISO 2022 IR 13\\ISO 2022 IR 87",
        name="ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis") + b"=" + japanese("山田^太郎"),
    ),
    "Korean": Script(
        charset="\\ISO 2022 IR 149",
        name=b"Hong^Gildong=\x1b$)C"
        + "洪".encode("euc_kr")
        + b"^\x1b$)C"
        + "吉洞".encode("euc_kr")
        + b"=\x1b$)C"
        + "홍".encode("euc_kr")
        + b"^\x1b$)C"
        + "길동".encode("euc_kr"),
        description=b"\x1b$)C" + "뇌".encode("euc_kr") + b" T2 FLAIR",
    ),
    "Latin-1": Script(
        charset="ISO_IR 100",
        name="Müller^Jérôme".encode("latin-1"),
        description="Tête T2 FLAIR".encode("latin-1"),
    ),
    "Cyrillic": Script(
        charset="ISO_IR 144",
        name="Люкceмбypг".encode("iso8859_5"),
        description="Мозг T2 FLAIR".encode("iso8859_5"),
    ),
    "UTF-8": Script(
        charset="ISO_IR 192",
        name="Wang^XiaoDong=王^小東=Müller🧠".encode(),
        description="脑 T2 FLAIR".encode(),
    ),
    "GB18030": Script(
        charset="GB18030",
        name="Wang^XiaoDong=王^小东".encode("gb18030"),
        description="脑 T2 FLAIR".encode("gb18030"),
    ),
    "GBK": Script(
        charset="GBK",
        name="Wang^XiaoDong=王^小东".encode("gbk"),
        description="脑 T2 FLAIR".encode("gbk"),
    ),
}
DAMAGED = {
    "unknown set": Script(charset="ISO_IR 999", name="Müller".encode("latin-1")),
    "nonsense": Script(charset="whatever", name="Müller".encode()),
    "multi-valued nonsense": Script(charset="\\ISO 2022 IR 999", name="Müller".encode("latin-1")),
    "UTF-8 that is Latin-1": Script(
        charset="ISO_IR 192",
        name="Müller^Jérôme".encode("latin-1"),
        description="Tête T2 FLAIR".encode("latin-1"),
    ),
    "ASCII that is not": Script(
        charset="ISO_IR 6",
        name="Müller".encode("latin-1"),
        description="Tête T2 FLAIR".encode("latin-1"),
    ),
    "none but Latin-1": Script(
        charset="", name="Müller".encode("latin-1"), description="Tête FLAIR".encode("latin-1")
    ),
    "Korean without escape": Script(charset="\\ISO 2022 IR 149", name="홍^길동".encode("euc_kr")),
    "unknown escape": Script(
        charset="\\ISO 2022 IR 87", name=b"A^\x1b$)Zabc", description=b"\x1b$(Q FLAIR"
    ),
    "GBK cut in a sign": Script(charset="GBK", name="王^小东".encode("gbk")[:-1]),
}
NAMES = ("PatientName", "ReferringPhysicianName")
TEXTS = ("StudyDescription", "PatientID", "InstitutionName", "SeriesDescription", "ProtocolName")
REPEATED = (*NAMES, *TEXTS[:2])
PLAIN = (Syntax.EXPLICIT, Syntax.IMPLICIT)
BESIDE = (*REPEATED, "SpecificCharacterSet", "InstitutionName")
"""What stands as it came, whatever a validator thinks of it."""


def analysed(script: Script, folder: Path, *, enhanced: bool = False) -> Analysed:
    """The answer to a series whose texts are in this script."""
    series = stored_series.small(enhanced=enhanced)
    for dataset in series:
        if script.charset:
            stored_series.put(dataset, "SpecificCharacterSet", script.charset.encode())
        else:
            del dataset.SpecificCharacterSet
        for keyword in NAMES:
            stored_series.put(dataset, keyword, script.name)
        for keyword in TEXTS:
            stored_series.put(dataset, keyword, script.description)
    return stored_series.analysed(stored_series.stored(series, folder / "source"))


def comments(report: Dataset) -> str:
    """The texts of a report."""
    texts: list[str] = []

    def keep(_: Dataset, element: DataElement) -> None:
        if element.keyword == "TextValue":
            texts.append(str(element.value))

    report.walk(keep)
    return "\n".join(texts)


@pytest.mark.parametrize("enhanced", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SCRIPTS)
def test_names_come_back_equal_in_every_object(name: str, enhanced: bool, tmp_path: Path) -> None:
    case = analysed(SCRIPTS[name], tmp_path, enhanced=enhanced)
    made = objects(case, EVERYTHING)
    found = stored_series.faults(made, case, tmp_path / "made")
    # dciodvfy knows no GBK, and dislikes names in one part.
    assert stored_series.told(found, (*BESIDE, "TextValue") if name == "GBK" else NAMES) == []
    source = dcmread(tmp_path / "source" / "000.dcm")
    copies = stored_series.encoded(made, EVERYTHING, tmp_path / "encoded", PLAIN)
    assert len(copies) == 2 * 7
    for copy in copies:
        assert [copy[keyword].value for keyword in REPEATED] == [
            source[keyword].value for keyword in REPEATED
        ]
        scanner = copy.ContributingEquipmentSequence[0]
        assert scanner.InstitutionName == source.InstitutionName
    described = f'Series {source.SeriesNumber} "{source.SeriesDescription}"'
    assert described in comments(copies[0])


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom says what it replaces
@pytest.mark.parametrize("name", DAMAGED)
def test_texts_that_cannot_be_decoded_stop_nothing(name: str, tmp_path: Path) -> None:
    case = analysed(DAMAGED[name], tmp_path)
    made = objects(case, EVERYTHING)
    found = stored_series.faults(made, case, tmp_path / "made")
    assert stored_series.told(found, BESIDE) == []
    source = dcmread(tmp_path / "source" / "000.dcm")
    copies = stored_series.encoded(made, EVERYTHING, tmp_path / "encoded", PLAIN)
    assert len(copies) == 2 * 7
    for copy in copies:
        assert [str(copy[keyword].value) for keyword in REPEATED] == [
            str(source[keyword].value) for keyword in REPEATED
        ]
    assert " FLAIR" in comments(copies[0])


@pytest.mark.parametrize("charset", ["ISO_IR 6", "", "\\ISO 2022 IR 87"])
def test_the_report_adds_nothing_that_the_character_set_lacks(charset: str, tmp_path: Path) -> None:
    case = analysed(Script(charset=charset, name=b"A^B"), tmp_path)
    context = replace(case.context, completion_evidence="Tête: 終")
    made = objects(replace(case, context=context), EVERYTHING)
    (report,) = stored_series.encoded(made[:1], EVERYTHING, tmp_path / "made", PLAIN[:1])
    kept = "終" if charset.endswith("87") else "?"
    assert f"T?te: {kept}" in comments(report)
