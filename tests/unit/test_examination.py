"""What names the model in a result."""

import dataclasses

from pydicom.dataset import Dataset

import builders
from agent import examination, inference, model_toml
from agent.dicom import identifiers, series
from agent.examination import Reading
from agent.imaging.results import NotAnalysed, Reason
from agent.inference import OnnxModel
from agent.model_toml import ModelDescription
from storage.records import StudyUid

UNREAD = NotAnalysed(reason=Reason.NO_SUITABLE_SERIES, sentence="There is none.")


class Described(OnnxModel):
    """A model that is only asked what it is."""

    runtime = "none"

    def __init__(self, description: ModelDescription) -> None:
        self.description = description


def report_uid(description: ModelDescription) -> str:
    """The name of the report that a model of this description writes."""
    header = Dataset()
    header.StudyInstanceUID = "1.2.3"
    choice = series.Choice(series_uid=None, decisions=(), sentence="")
    analysis = examination.record(
        Reading(headers=(header,), choice=choice, paths=()),
        UNREAD,
        Described(description),
        input_sha256="0" * 64,
        created_at=builders.CREATED_AT,
    )
    identity = identifiers.identity_of(StudyUid("1.2.3"), analysis)
    return identifiers.uid(builders.NAMESPACE, identity, "role")


def test_results_of_models_with_different_brain_networks_never_share_a_name() -> None:
    shipped = model_toml.describe(inference.default_folder())
    other = dataclasses.replace(shipped, brain_sha256="b" * 64)
    assert report_uid(shipped) == report_uid(dataclasses.replace(shipped))
    assert report_uid(other) != report_uid(shipped)
