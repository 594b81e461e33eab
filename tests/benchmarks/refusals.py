"""What a model refuses: images it was not made for, spoilt ones, and the good ones it must take.

`python tests/benchmarks/refusals.py [MODEL_FOLDER] [DATA_FOLDER]` prints one row for each kind of
image: how many there are, how many are refused and for which trait, and how many get a remark. The
restoring network is not run. The LGG test split is not opened. It takes about ten minutes.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import model_training
import real_series
import spoilt
from agent import inference, pipeline, readers
from agent.imaging import acceptance, traits
from agent.imaging.acceptance import Judgement
from agent.imaging.results import NotAnalysed, Reason
from agent.imaging.traits import Trait
from agent.imaging.volume import Volume
from agent.inference import OnnxModel
from model_training import acceptance as learning
from model_training import collection, config, measurements
from model_training import data as training
from model_training.collection import Split
from model_training.evaluation import refusals

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
RECIPE = Path(model_training.__file__).parent / "recipes" / "default.toml"
EVERY_SPOILT = 3  # of the calibration volumes, every so many are spoilt

Kinds = Iterator[tuple[str, Iterator[Volume]]]
SPOILT: dict[str, Callable[[Volume], Volume]] = {
    "noise 5 %": lambda volume: spoilt.noisy(volume, 0.05),
    "noise 15 %": lambda volume: spoilt.noisy(volume, 0.15),
    "ghost 10 %": lambda volume: spoilt.ghosted(volume, 0.1),
    "ghost 20 %": lambda volume: spoilt.ghosted(volume, 0.2),
    "ghost 40 %": lambda volume: spoilt.ghosted(volume, 0.4),
    "motion by 8 mm": lambda volume: spoilt.moved(volume, 8.0),
    "blur 2 mm": lambda volume: spoilt.blurred(volume, 2.0),
    "blur 4 mm": lambda volume: spoilt.blurred(volume, 4.0),
    "a quarter cut off beside": lambda volume: spoilt.cut(volume, 0.25),
    "lower half not imaged": lambda volume: spoilt.upper_part(volume, 0.5),
}


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else inference.default_folder()
    data = Path(sys.argv[2]) if len(sys.argv) > 2 else SHARED_DATA
    model = inference.load(folder, provider=inference.Provider.CPU)
    print("| images | n | refused | with a remark | refused for |\n|---|---|---|---|---|")
    for line in left_out(data, model):
        print(line, flush=True)
    for kinds in (good(data), unlike(data), spoilt_ones(data)):
        for name, volumes in kinds:
            verdicts = [judged(volume, model) for volume in volumes]
            print(row(name, verdicts), flush=True)


def left_out(data: Path, model: OnnxModel) -> Iterator[str]:
    """Training and calibration volumes of each site under limits learnt at the other sites; under
    the limits that they helped to set none is refused."""
    recipe = config.load(RECIPE)
    known = [
        *training.training_members(data, recipe),
        *training.calibration_members(data, recipe.collections),
    ]
    views = measurements.views(known, recipe, model.find_brain)
    samples = [learning.sample(subject, prepared) for _, subject, prepared in views]
    for one in refusals.left_out(samples):
        name = f"{one.site}, limits learnt at the other sites"
        yield f"| {name} | {one.volumes} | {len(one.refused)} | {one.remarked} | |"


def good(data: Path) -> Kinds:
    """Axial FLAIR of hospitals that gave nothing to the limits."""
    for name in ("brats_flair", "ms_flair"):
        yield f"{name} (never trained on)", members(data / name, Split.TEST)
    yield "BRAINIX FLAIR", iter([real_series.stack(data / "dicom/brainix/flair")])


def unlike(data: Path) -> Kinds:
    """Other sequences, other planes, and no head."""
    dicom = data / "dicom"
    series = {
        "fruit": dicom / "ge_fruit_not_a_brain",
        "T1 3 T, sagittal": dicom / "adi_brain_t1_t2/series_5",
        "T1 MPRAGE, sagittal": dicom / "philips_mprage_sagittal",
        "T2 3 T, axial": dicom / "adi_brain_t1_t2/series_6",
        "EPI, axial": dicom / "brainix/epi",
    }
    for name, folder in series.items():
        volume = real_series.stack(folder)
        yield name, iter([volume])
        if "axial" not in name:
            yield f"{name}, turned axial", iter([real_series.as_axial(volume)])
    pictures = sorted((data / "ixi_t1_slices").glob("*.png"))
    yield "IXI T1, single axial slices", (readers.read_images(path)[0] for path in pictures)
    for plane in (spoilt.coronal, spoilt.sagittal):
        yield f"{plane.__name__} FLAIR called axial", map(plane, fine(data))


def spoilt_ones(data: Path) -> Kinds:
    """Calibration volumes made unfit."""
    for name, spoil in SPOILT.items():
        yield name, map(spoil, some(data))


def some(data: Path) -> Iterator[Volume]:
    """Every third calibration volume, with tumour or without."""
    for name in ("lgg_flair", "tumour_free_flair"):
        listed = collection.of_split(collection.members(data / name), Split.CALIBRATION)
        yield from (collection.read(member).volume for member in listed[::EVERY_SPOILT])


def fine(data: Path) -> Iterator[Volume]:
    """Volumes whose voxels are about as long as wide."""
    for name, split in (("tumour_free_flair", Split.CALIBRATION), ("brats_flair", Split.TEST)):
        yield from (one for one in members(data / name, split) if one.spacing_mm[0] < 3.0)


def members(folder: Path, split: Split) -> Iterator[Volume]:
    """The volumes of one split of a collection."""
    listed = collection.of_split(collection.members(folder), split)
    return (collection.read(member).volume for member in listed)


def judged(volume: Volume, model: OnnxModel) -> NotAnalysed | Judgement:
    """What the model says before it looks for anything."""
    prepared = pipeline.prepare(volume, model)
    if isinstance(prepared, NotAnalysed):
        return prepared
    described = model.description
    sight = traits.look(volume, prepared)
    verdict = acceptance.judge(sight, described.acceptance, sequence=described.sequence)
    return verdict.refusal or verdict


def row(name: str, verdicts: list[NotAnalysed | Judgement]) -> str:
    """One line of the table."""
    refused = [one for one in verdicts if isinstance(one, NotAnalysed)]
    remarked = sum(isinstance(one, Judgement) and bool(one.remarks) for one in verdicts)
    counts = Counter(cause for one in refused for cause in causes(one))
    why = ", ".join(f"{cause} {count}" for cause, count in counts.most_common())
    return f"| {name} | {len(verdicts)} | {len(refused)} | {remarked} | {why} |"


def causes(refusal: NotAnalysed) -> list[str]:
    """The traits that a refusal names, or its reason."""
    if refusal.reason is not Reason.UNFAMILIAR_IMAGES:
        return [refusal.reason.value]
    return [trait for trait in Trait if f"({trait} " in refusal.sentence]


if __name__ == "__main__":
    main()
