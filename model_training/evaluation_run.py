"""The evaluation from folders to table and figures."""

from pathlib import Path

from agent import inference
from model_training import config, data, examine, plots, runs, trainer
from model_training import evaluate as evaluation
from model_training.calibrate import Calibration
from model_training.examine import MODEL, Examined

FIGURES = "figures"


def evaluate(run_folder: Path, data_folder: Path, model_folder: Path, frozen: Calibration) -> str:
    """Evaluates the exported model; returns the tables, writes figures and `evaluation.json`."""
    recipe = config.load(run_folder / runs.RECIPE_FILE)
    model = inference.load(model_folder, provider=inference.Provider.CPU)

    def examined(collection: str, split: str) -> list[Examined]:
        return examine.examine(
            data.subject_folders(data_folder, collection, split),
            lambda prepared: model.run(prepared.slices, prepared.positions),
            size=recipe.size,
            context=recipe.context,
        )

    main, *tumour_free = recipe.collections
    patients = examined(main, "test")
    cohorts = [evaluation.cohort(f"{main} test", patients, frozen, model)]
    for collection in recipe.cross_site:
        others = examined(collection, "test")
        cohorts.append(evaluation.cohort(f"{collection} (cross-site)", others, frozen, model))
    healthy = [one for name in tumour_free for one in examined(name, "calibration")]
    found = evaluation.alarms(healthy, model)
    path = run_folder / evaluation.FILE_NAME
    evaluation.save(path, cohorts, found, model.description.sha256)
    draw(patients, frozen, model, run_folder, model_folder / FIGURES)
    tables = [f"{one.name}\n{evaluation.table(one)}\n{evaluation.verdict(one)}" for one in cohorts]
    return "\n\n".join([*tables, str(found)])


def draw(
    patients: list[Examined],
    frozen: Calibration,
    model: inference.OnnxModel,
    run_folder: Path,
    folder: Path,
) -> None:
    """All figures of the card."""
    scored = [examine.rows(one, frozen.fusion) for one in patients]
    rows = [row[MODEL] for row in scored]
    plots.losses(run_folder / trainer.LOSS_FILE, folder / "losses.png")
    plots.distribution(patients, rows, frozen.rows[MODEL].slice, folder / "scores.png")
    plots.curves(patients, scored, frozen, folder)
    plots.montage(patients, model, plots.typical_slices(patients), folder / "montage.png")
    plots.montage(patients, model, plots.failures(patients, rows, 4), folder / "failures.png")
