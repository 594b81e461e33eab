"""The evaluation from folders to report, figures and `evaluation.json`.

The test split is opened once a run. The calibration split may be evaluated again and again while
something is being built: it goes to a folder of its own and touches no test patient.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import inference
from agent.imaging.preprocess import ModelInput
from agent.imaging.scoring import Maps
from agent.inference import OnnxModel
from agent.model_toml import ModelDescription
from model_training import collection, config, data, runs, trainer
from model_training.calibrate import Calibration
from model_training.collection import Member, Split
from model_training.config import Recipe
from model_training.evaluation import (
    cohorts,
    drawing,
    examine,
    groups,
    patients,
    readings,
    report,
    scoresheets,
    sense,
    sense_report,
    tumour_free,
    worst,
)
from model_training.evaluation.drawing import FIGURES
from model_training.evaluation.examine import MODEL
from model_training.evaluation.groups import Group, Opened
from model_training.evaluation.report import Evaluation, Provenance
from model_training.evaluation.scoresheets import Scoresheet


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where things go: the report, and beside the run what may not be passed on (the experts'
    outlines, scores of patients under their names)."""

    report: Path
    inspection: Path


def evaluate(
    run_folder: Path,
    data_folder: Path,
    model_folder: Path,
    frozen: Calibration,
    *,
    split: str = Split.TEST,
) -> str:
    """Evaluates the exported model on one split; returns the report's text."""
    of = Split(split)
    places = places_for(run_folder, model_folder, of)
    recipe = config.load(run_folder / runs.RECIPE_FILE)
    model = inference.load(model_folder, provider=inference.Provider.CPU, every_map=True)
    command = (
        f"neurosieve-train evaluate --run {run_folder.name} --data {data_folder.name} "
        f"--model {model_folder.name}{'' if of == Split.TEST else f' --split {of}'}"
    )
    listed = collection.members(data_folder / recipe.collections[0])
    members = collection.of_split(listed, of)
    if sense.applies(members):
        return evaluate_healthy(members, run_folder, model, frozen, command=command, places=places)
    opened = groups.open_all(data_folder, recipe, model, frozen, of)
    sheets = {name: sheets_of(group, frozen) for name, group in opened.cohorts.items()}
    for name, kept in sheets.items():
        scoresheets.save(scoresheets.path_of(places.inspection, name), list(kept.values()))
    main, origin = sheets[recipe.collections[0]], provenance(command, model, frozen, of, opened)
    found = measure(opened, frozen, main, origin, numbers(run_folder, data_folder, recipe))
    figures = draw(found, opened.patients, main, run_folder / trainer.LOSS_FILE, places)
    return publish(found, figures, places, run_folder, of)


def evaluate_healthy(
    members: Sequence[Member],
    run_folder: Path,
    model: OnnxModel,
    frozen: Calibration,
    *,
    command: str,
    places: Places,
) -> str:
    """Subjects known to be normal hold nothing to be found: what remains are restorations and
    synthetic lesions."""

    def answer(prepared: ModelInput) -> Maps:
        return model.run(prepared.slices, prepared.positions)

    recipe = config.load(run_folder / runs.RECIPE_FILE)
    subjects = examine.examine(members, answer, recipe, model.find_brain)
    group = Group(name="healthy", subjects=tuple(subjects), findings=(), readings={})
    of = members[0].split
    opened = Opened(cohorts={recipe.collections[0]: group}, tumour_free=None)
    origin = provenance(command, model, frozen, of, opened)
    training = data.read_slices(run_folder / runs.SLICES_FILE)
    found = sense.measure(subjects, answer, frozen, training)
    text, values = sense_report.as_markdown(found, origin), sense_report.to_json(found, origin)
    return keep(text, values, places, run_folder, of)


def places_for(run_folder: Path, model_folder: Path, of: Split) -> Places:
    """Refuses a second look at the test split, and the training split altogether."""
    inspection = run_folder / f"evaluation_{of}"
    if of == Split.CALIBRATION:
        return Places(report=inspection, inspection=inspection)
    if of != Split.TEST:
        raise ValueError("Only the test and the calibration split can be evaluated.")
    kept = run_folder / cohorts.FILE_NAME
    if kept.exists():
        raise FileExistsError(
            f"{kept} exists: the test split has been opened for this run. For development use "
            "`--split calibration`."
        )
    return Places(report=model_folder, inspection=inspection)


def sheets_of(group: Group, frozen: Calibration) -> dict[str, Scoresheet]:
    """Every way of scoring over one group."""
    return {
        name: readings.sheet(name, frozen.rows[name], part) for name, part in group.readings.items()
    }


def numbers(run_folder: Path, data_folder: Path, recipe: Recipe) -> dict[str, str]:
    """What the report calls the patients of the main collection; the key stays beside the run."""
    main = recipe.collections[0]
    found = patients.numbered(collection.members(data_folder / main))
    patients.save(run_folder / patients.FILE_NAME, main, found)
    return found


def measure(
    opened: Opened,
    frozen: Calibration,
    sheets: Mapping[str, Scoresheet],
    of: Provenance,
    known_as: Mapping[str, str],
) -> Evaluation:
    """Every figure; patients are called what `known_as` says."""
    main, healthy = opened.patients, opened.tumour_free
    coverage = [
        tumour_free.patient_coverage(
            main.name, main.readings, calibrating=of.split == Split.CALIBRATION
        )
    ]
    if healthy is not None:
        coverage += tumour_free.coverages(healthy.readings)
    return Evaluation(
        provenance=of,
        cohorts=tuple(
            cohorts.cohort(one.name, one.readings, frozen.rows) for one in opened.cohorts.values()
        ),
        tumour_free={} if healthy is None else tumour_free.marked(healthy.readings),
        coverage=tuple(coverage),
        worst=tuple(worst.slices(sheets[MODEL], known_as)),
    )


def provenance(
    command: str, model: OnnxModel, frozen: Calibration, of: Split, opened: Opened
) -> Provenance:
    """What was evaluated, and by what."""
    described: ModelDescription = model.description
    return Provenance(
        command=command,
        split=of,
        model=described.name,
        version=described.version,
        model_sha256=described.sha256,
        brain_sha256=described.brain_sha256,
        runtime=model.runtime,
        code_version=described.code_version,
        training_data_sha256=described.training_data_sha256,
        evaluated_data_sha256=groups.digest(opened.everyone),
        operating_point=described.operating_point,
        minimum_volume_ml=frozen.minimum_volume_ml,
        thresholds=frozen.rows,
    )


def draw(
    found: Evaluation,
    patients: Group,
    sheets: Mapping[str, Scoresheet],
    loss_file: Path,
    places: Places,
) -> dict[str, str]:
    """All figures; captions by path beside the report."""
    folder = places.report / FIGURES
    lines = found.cohorts[0].lines
    figures = drawing.charts(folder, loss_file, sheets, lines, found.coverage)
    apart = places.inspection != places.report
    figures |= drawing.montages(folder, patients, found.worst, outlines=not apart)
    if apart:
        drawing.montages(places.inspection / FIGURES, patients, found.worst, outlines=True)
    return {f"{FIGURES}/{name}": caption for name, caption in figures.items()}


def publish(
    found: Evaluation, figures: Mapping[str, str], places: Places, run_folder: Path, of: Split
) -> str:
    """Writes the report and the figures as JSON; the test split's also closes the run."""
    return keep(report.text(found, figures), report.to_json(found), places, run_folder, of)


def keep(text: str, values: str, places: Places, run_folder: Path, of: Split) -> str:
    """Writes a report and its figures; returns the report."""
    places.report.mkdir(parents=True, exist_ok=True)
    (places.report / report.FILE_NAME).write_text(text, encoding="utf-8")
    (places.report / cohorts.FILE_NAME).write_text(values, encoding="utf-8")
    if of == Split.TEST:
        (run_folder / cohorts.FILE_NAME).write_text(values, encoding="utf-8")
    return text
