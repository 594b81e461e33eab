"""A small site as the examples of the help speak of it: its folders, its node, its read study.

`study/` is the bundled study, `candidate/` a model that the node does not know, `normals/` holds
studies for a calibration. The node has read the study with its own model and the one on trial.
"""

import shutil
from contextlib import chdir, closing
from pathlib import Path

import pydicom
from typer.testing import CliRunner

import demo_study
from agent import readers
from agent.cli import app
from agent.demo.pacs import SimulatedPacs
from agent.dicom import volumes
from agent.dicom.peer import Destination
from agent.imaging.volume import Volume
from model_folders import changed
from running import RunningNode, running, wait_until
from storage import verdicts
from storage.database import open_database

ON_TRIAL, CANDIDATE = "2.2.1", "2.2.2"
NORMALS = 19  # the fewest that a false-positive rate of 0.05 needs
EVERY = 3  # slices of the bundled study, so that a normal is read in a third of the time
SCANNER = ("Philips Medical Systems", "Achieva")
LINKED = frozenset({".dcm", ".onnx", ".pt", ".gz"})  # large, and never written in place


def build(folder: Path, pacs: SimulatedPacs) -> None:
    """Everything but the scans of a retraining."""
    _study(folder / "study")
    _normals(folder / "normals")
    changed(folder / "candidate", version=CANDIDATE)
    trial = changed(folder.parent / "trial", version=ON_TRIAL, residual="1.6")
    configure(folder, pacs.destination)
    with chdir(folder):
        for asked in (["models", "import", str(trial)], ["models", "shadow", ON_TRIAL]):
            done = CliRunner().invoke(app, asked)
            assert done.exit_code == 0, done.output
    _receive(folder, pacs)


def configure(folder: Path, destination: Destination | None = None, *, model: str = "") -> None:
    """`agent.toml`, whose data lie in the folder where a command is run."""
    lines = ["[node]", 'data_dir = "data"', "port = 0", "reserve_gb = 0.0"]
    lines += ["watermark_percent = 100.0"]
    lines += ["[status]", "port = 0", "[model]", 'provider = "cpu"']
    lines += [f'folder = "{model}"'] if model else []
    if destination is not None:
        lines += ["[[destinations]]", 'name = "pacs"', f'ae_title = "{destination.ae_title}"']
        lines += [f"port = {destination.port}"]
    (folder / "agent.toml").write_text("\n".join([*lines, ""]), encoding="utf-8")


def copied(template: Path, folder: Path) -> Path:
    """A site of its own."""
    shutil.copytree(template, folder, copy_function=_copy)
    return folder


def _copy(source: str, target: str) -> None:
    if Path(source).suffix in LINKED:
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


def _study(folder: Path) -> None:
    """The bundled study, as if it came from a scanner with a name."""
    folder.mkdir()
    for path in demo_study.IMAGES:
        image = pydicom.dcmread(path)
        image.Manufacturer, image.ManufacturerModelName = SCANNER
        image.save_as(folder / path.name)


def _normals(folder: Path) -> None:
    """The bundled head for so many patients, a little brighter each."""
    folder.mkdir()
    whole = volumes.load(demo_study.IMAGES).volume
    affine = whole.affine.copy()
    affine[:3, 0] *= EVERY
    thin = Volume(
        voxels=whole.voxels[::EVERY].copy(), affine=affine, sources=whole.sources[::EVERY]
    )
    for number in range(NORMALS):
        brighter = (thin.voxels * (1 + number / 100)).round()
        readers.write_nifti(folder / f"patient_{number:02}.nii.gz", brighter, thin)


def _receive(folder: Path, pacs: SimulatedPacs) -> None:
    """Let the node receive the study, read it with both models and return its results."""
    node = RunningNode(folder=folder, destinations=(pacs.destination,))
    with running(node):
        sent = pacs.send(sorted((folder / "study").glob("*.dcm")), node.address)
        assert all(one.stored for one in sent)
        key = node.wait_for_end().studies[0].key
        database = open_database(node.url)

        def tried() -> bool:
            with database.read() as session:
                return verdicts.analysis_of(session, key, shadow=True) is not None

        with closing(database):
            wait_until(tried, timeout_seconds=60, what="the model on trial")
        assert node.stop() == 0
