"""Teaches an exported model to tell a mass from white-matter disease, on the training split.

The model as it is served marks the training subjects; what it marks is described, and the rule
learnt from that goes into `model.toml`. Neither calibration nor test subjects take part, so both
may be counted later.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agent import inference, model_toml, pipeline
from agent.imaging.results import NotAnalysed
from agent.inference import OnnxModel
from model_training import collection
from model_training.collection import Member, Split
from model_training.config import Recipe
from model_training.pattern import learning
from model_training.pattern.learning import Learnt
from model_training.pattern.samples import Sample

HEADING = "[pattern]"
# Shares of the thresholds at which regions are learnt from: as served, and lower ones, since a good
# detector marks too little in tumour-free subjects to learn white-matter disease from.
SHARES = (1.0, 0.75, 0.5)


def learn(data_folder: Path, recipe: Recipe, model_folder: Path) -> Learnt:
    """Learns the rule and writes it into the model folder's description."""
    model = inference.load(model_folder, provider=inference.Provider.CPU)
    learnt = learning.learn(samples(data_folder, recipe, model))
    path = model_folder / model_toml.FILE_NAME
    kept = path.read_text(encoding="utf-8").split(HEADING)[0].rstrip()
    path.write_text(f"{kept}\n\n{learning.as_toml(learnt.rule)}", encoding="utf-8")
    model_toml.describe(model_folder)
    return learnt


def samples(data_folder: Path, recipe: Recipe, model: OnnxModel) -> Iterator[Sample]:
    """Every training subject as the model answers it; the first collection has the tumours."""
    for name in recipe.collections:
        listed = collection.members(data_folder / name)
        tumours = name == recipe.collections[0]
        for member in collection.of_split(listed, Split.TRAIN):
            yield from sample(member, model, tumours=tumours)


def sample(member: Member, model: OnnxModel, *, tumours: bool) -> Iterator[Sample]:
    """One subject at each share of the thresholds, or nothing where the model refuses it."""
    subject = collection.read(member)
    prepared = pipeline.prepare(subject.volume, model)
    if isinstance(prepared, NotAnalysed):
        return
    maps = model.run(prepared.slices, prepared.positions)
    served = model.description.thresholds
    for share in SHARES:
        lower = replace(served, pixel=share * served.pixel, slice=share * served.slice)
        found = pipeline.conclude(subject.volume, prepared, maps, model.description, lower)
        yield Sample(
            subject=subject.name,
            group="tumour" if tumours else subject.name.split("_")[0],
            tumour_patient=tumours,
            labels=found.labels,
            prepared=prepared,
            lesion=subject.lesion,
            served=share == 1.0,
        )
