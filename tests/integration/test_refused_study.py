"""What a reader of the results is told when images are refused, or show only part of the brain."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

import demo_study
from agent import inference, offline
from agent.composition import Appearance
from agent.dicom import report_page
from agent.dicom.objects.profiles import Profile, Slices
from agent.dicom.series import SeriesRules
from agent.imaging import archive
from agent.imaging.acceptance import Limit, Limits
from agent.imaging.results import Findings
from agent.imaging.traits import Trait
from agent.inference import OnnxModel, Provider
from builders import NAMESPACE

NOTHING_IS_LIKE_THIS = (Limit(trait=Trait.RIBBON, least=9.0),)
EVERY_VOLUME_BEGINS_INSIDE = (Limit(trait=Trait.BELOW, most=-1.0),)
REMARK = "The images begin inside the brain: what lies below them was not analysed."


@dataclasses.dataclass(frozen=True)
class Answered:
    """What lies in the folder of an analysed study."""

    summary: dict[str, Any]
    objects: list[Dataset]
    results: list[object]

    @property
    def page(self) -> str:
        """The report in words."""
        (report,) = (one for one in self.objects if one.Modality == "SR")
        return report_page.render(report)


def answered(limits: tuple[Limit, ...], out: Path) -> Answered:
    """The demo study, analysed by the shipped model under other limits."""
    model: OnnxModel = inference.load(inference.default_folder(), provider=Provider.CPU)
    accepted = Limits(stack=limits, single=())
    model.description = dataclasses.replace(model.description, acceptance=accepted)
    results = offline.analyse(
        demo_study.FOLDER,
        out,
        model,
        rules=SeriesRules(),
        appearance=Appearance(namespace=NAMESPACE, profile=Profile(heatmap=Slices.OFF)),
        progress=lambda _: None,
    )
    return Answered(
        summary=json.loads((out / "study.json").read_text()),
        objects=[pydicom.dcmread(path) for path in sorted((out / "dicom").glob("*.dcm"))],
        results=list(results),
    )


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    return answered(NOTHING_IS_LIKE_THIS, tmp_path_factory.mktemp("refused"))


@pytest.fixture(scope="module")
def remarked(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    return answered(EVERY_VOLUME_BEGINS_INSIDE, tmp_path_factory.mktemp("remarked"))


def test_a_refused_study_gets_a_report_and_nothing_that_could_pass_for_a_finding(
    refused: Answered,
) -> None:
    assert [one.Modality for one in refused.objects] == ["SR"]


def test_the_report_of_a_refused_study_says_that_it_was_not_analysed_and_why(
    refused: Answered,
) -> None:
    assert "NOT ANALYSED: this is no statement about the patient." in refused.page
    assert "Images unlike those the model was made for" in refused.page
    assert "the cortex is darker against the white matter than FLAIR shows it" in refused.page


def test_the_summary_of_a_refused_study_names_the_reason(refused: Answered) -> None:
    assert refused.summary["outcome"] == "NOT_ANALYSED"
    assert [one["reason"] for one in refused.summary["not_analysed"]] == ["UNFAMILIAR_IMAGES"]


def test_a_brain_that_was_imaged_in_part_is_analysed_and_every_result_says_so(
    remarked: Answered,
) -> None:
    assert remarked.summary["outcome"] == "ABNORMAL"
    assert remarked.summary["remarks"] == [REMARK]
    assert REMARK in remarked.page


def test_remarks_survive_being_stored(remarked: Answered) -> None:
    (found,) = remarked.results
    assert isinstance(found, Findings)
    assert archive.from_bytes(archive.to_bytes(found)).remarks == (REMARK,)
