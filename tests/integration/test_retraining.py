"""A site's tumour-free scans become a candidate; what does not suit is refused by name."""

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import retraining_folders as folders
from agent import inference, model_toml
from agent.errors import ConfigurationError
from model_training import devices
from model_training.retraining import checking, course, stages, telling
from model_training.retraining.checking import Checked, Refused
from model_training.retraining.order import Order

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that is gone on from."""
    return folders.base_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def unbroken(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of a retraining that nobody disturbed."""
    root = tmp_path_factory.mktemp("unbroken")
    data = folders.heads(root / "data", 10)
    folders.put(data / "patient_03" / "FLAIR.nii.gz", seed=3, lesion="wmh.nii.gz")
    done = folders.run(folders.arguments(data, base, root / "work"))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["progress"] for line in lines] == sorted(line["progress"] for line in lines)
    assert list(dict.fromkeys(line["stage"] for line in lines)) == list(telling.Stage)
    return root / "work"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten patients, as many as are needed."""
    return folders.heads(tmp_path / "data", 10)


def check(data: Path, base: Path, *, leave_out: bool = False) -> Checked:
    """The first stage alone."""
    work = data.parent / f"work{'-leave-out' if leave_out else ''}"
    work.mkdir()
    order = Order(
        data=data,
        base=base,
        work=work,
        run=folders.RUN,
        private=data.parent / "private",
        leave_out=leave_out,
    )
    return checking.check(order, lambda *_: None)


def sentence(data: Path, base: Path, *, leave_out: bool = False) -> str:
    """Why a folder is refused."""
    with pytest.raises(Refused) as refused:
        check(data, base, leave_out=leave_out)
    return str(refused.value)


def test_the_candidate_is_a_model_that_names_its_base_and_its_run(
    unbroken: Path, base: Path
) -> None:
    candidate, old = model_toml.describe(unbroken / "candidate"), model_toml.describe(base)
    assert (candidate.name, candidate.version) == (old.name, f"{old.version}+{folders.RUN}")
    loaded = inference.load(unbroken / "candidate", provider=inference.Provider.CPU)
    assert loaded.description == candidate
    text = (unbroken / "candidate" / model_toml.FILE_NAME).read_text()
    assert f'continues = "{old.sha256}"' in text
    assert candidate.sha256 != old.sha256


def test_the_graph_tells_nothing_of_the_machine_it_was_exported_on(unbroken: Path) -> None:
    assert b".py" not in (unbroken / "candidate" / inference.GRAPH_FILE).read_bytes()


def test_what_tumour_free_scans_cannot_teach_is_carried_over(unbroken: Path, base: Path) -> None:
    candidate, old = model_toml.describe(unbroken / "candidate"), model_toml.describe(base)
    assert candidate.pattern == old.pattern
    assert candidate.acceptance == old.acceptance
    assert candidate.fusion == old.fusion
    assert candidate.thresholds.pixel == old.thresholds.pixel
    assert candidate.thresholds.minimum_volume_ml == old.thresholds.minimum_volume_ml
    assert candidate.thresholds.slice != old.thresholds.slice
    assert len(candidate.study_reference) == 2


def test_report_card_and_figures_lie_with_the_candidate(unbroken: Path) -> None:
    folder = unbroken / "candidate"
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "losses.png",
        "roc.png",
        "scores.png",
    }
    card = (folder / "card.md").read_text()
    assert re.search(r"patients held back for the comparison +\| 2 ", card)
    assert re.search(r"scans whose white-matter lesions were cut out +\| 1 ", card)
    values = json.loads((folder / "evaluation.json").read_text())
    assert {"candidate", "base", "difference"} <= values["lines"][0].keys()


def test_no_image_of_a_patient_is_left_when_it_is_done(unbroken: Path) -> None:
    assert not list(unbroken.rglob("*.nii.gz"))
    assert not list(unbroken.rglob("*.npz"))


def test_killed_three_times_it_ends_with_the_same_candidate(
    unbroken: Path, base: Path, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    data = unbroken.parent / "data"
    command = folders.arguments(data, base, tmp_path / "work")
    ends = [folders.killed(command, chance, tmp_path / "errors") for _ in range(3)]
    done = folders.run(command)
    said = f"seed {seed}, killed after {ends}"
    assert done.returncode == 0, f"{said}: {done.stderr}"
    assert same_files(unbroken / "candidate", tmp_path / "work" / "candidate") == [], said


def test_killed_in_every_stage_it_ends_with_the_same_candidate(
    unbroken: Path, base: Path, tmp_path: Path
) -> None:
    command = folders.arguments(unbroken.parent / "data", base, tmp_path / "work")
    for stage in list(telling.Stage)[:-1]:
        kill_in(command, stage)
    done = folders.run(command)
    assert done.returncode == 0, done.stderr
    assert same_files(unbroken / "candidate", tmp_path / "work" / "candidate") == []


def kill_in(command: list[str], stage: str) -> None:
    """Kills the command when it says that a stage has begun."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if folders.stage_of(line) == stage:
                process.kill()
                break


def same_files(one: Path, other: Path) -> list[str]:
    """Names of files that are not the same in both folders."""
    names = {path.relative_to(root) for root in (one, other) for path in root.rglob("*.*")}
    return sorted(
        str(name)
        for name in names
        if not (one / name).is_file()
        or not (other / name).is_file()
        or (one / name).read_bytes() != (other / name).read_bytes()
    )


def test_it_ends_when_whoever_started_it_is_gone(base: Path, data: Path, tmp_path: Path) -> None:
    command = folders.arguments(data, base, tmp_path / "work", "--with-parent")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=20) == 1


def test_three_patients_are_too_few(base: Path, tmp_path: Path) -> None:
    said = sentence(folders.heads(tmp_path / "data", 3), base)
    assert "scans of 3 patients" in said
    assert "needs 10" in said


def test_many_scans_of_three_patients_are_too_few(base: Path, tmp_path: Path) -> None:
    for number in range(12):
        place = tmp_path / "data" / f"sub-{number % 3}" / f"ses-{number}" / "anat"
        folders.put(place / f"sub-{number % 3}_ses-{number}_FLAIR.nii.gz", seed=number)
    assert "scans of 3 patients" in sentence(tmp_path / "data", base)


def test_marked_tumours_are_refused_by_name(base: Path, data: Path) -> None:
    folders.put(data / "patient_10" / "FLAIR.nii.gz", seed=10, lesion="mask.nii.gz")
    said = sentence(data, base)
    assert "1 scan does not suit: marked as abnormal: patient_10/FLAIR.nii.gz" in said
    assert "--leave-out" in said


def test_folders_that_say_abnormal_are_refused(base: Path, data: Path) -> None:
    folders.put(data / "glioma" / "patient_10" / "FLAIR.nii.gz", seed=10)
    assert "marked as abnormal: glioma/patient_10/FLAIR.nii.gz" in sentence(data, base)


def test_white_matter_lesions_are_no_tumours(base: Path, data: Path) -> None:
    folders.put(data / "patient_10" / "FLAIR.nii.gz", seed=10, lesion="wmh.nii.gz")
    found = check(data, base)
    assert (found.taken, found.white_matter) == (11, 1)


def test_mixed_sequences_are_refused_by_name(base: Path, data: Path) -> None:
    folders.put(data / "patient_10" / "T1.nii.gz", seed=10)
    folders.put(data / "patient_11" / "T1.nii.gz", seed=11)
    said = sentence(data, base)
    assert "of another sequence: patient_10/T1.nii.gz, patient_11/T1.nii.gz" in said


def test_another_sequence_beside_the_wanted_one_is_only_listed(base: Path, data: Path) -> None:
    folders.put(data / "patient_00" / "T1.nii.gz", seed=20)
    (data / "patient_00" / "notes.txt").write_text("nothing")
    found = check(data, base)
    assert found.taken == 10
    assert {one["source"] for one in found.beside} == {"patient_00/T1.nii.gz", "1 file: .txt"}


def test_what_is_no_head_is_refused_by_name(base: Path, data: Path) -> None:
    folders.put_fruit(data / "patient_10" / "FLAIR.nii.gz")
    said = sentence(data, base)
    assert "not axial images of a head: patient_10/FLAIR.nii.gz" in said


def test_a_fruit_from_a_scanner_is_refused(base: Path, shared_data: Path, tmp_path: Path) -> None:
    fruit = shared_data / "dicom" / "ge_fruit_not_a_brain"
    said = sentence_of_copy(fruit, base, tmp_path)
    assert "1 scan does not suit" in said
    assert "scans of no patient remain" in said


def test_a_fruit_as_dicom_among_other_files_is_refused_by_name(
    base: Path, data: Path, shared_data: Path
) -> None:
    shutil.copytree(shared_data / "dicom" / "ge_fruit_not_a_brain", data / "patient_10")
    said = sentence(data, base)
    assert "of another kind of file: patient_10" in said


def test_dicom_beside_the_volumes_made_of_it_is_only_listed(
    base: Path, data: Path, shared_data: Path
) -> None:
    fruit = shared_data / "dicom" / "ge_fruit_not_a_brain"
    shutil.copytree(fruit, data / "patient_00" / "dicom")
    shutil.copytree(fruit, data / "sourcedata" / "patient_00")
    found = check(data, base)
    assert found.taken == 10
    assert not found.left_out


def sentence_of_copy(source: Path, base: Path, folder: Path) -> str:
    """Why a folder is refused that lies where nothing may be written beside it."""
    (folder / "data").symlink_to(source, target_is_directory=True)
    return sentence(folder / "data", base)


def test_what_does_not_suit_can_be_left_out(base: Path, data: Path) -> None:
    folders.put(data / "patient_10" / "T1.nii.gz", seed=10)
    folders.put_fruit(data / "patient_11" / "FLAIR.nii.gz")
    folders.put(data / "patient_12" / "FLAIR.nii.gz", seed=12, lesion="mask.nii.gz")
    found = check(data, base, leave_out=True)
    assert found.patients == {"train": 6, "calibration": 2, "test": 2}
    assert {one["source"] for one in found.left_out} == {
        "patient_10/T1.nii.gz",
        "patient_11/FLAIR.nii.gz",
        "patient_12/FLAIR.nii.gz",
    }
    kept = data.parent / "work-leave-out" / "data" / "site"
    assert len([path for path in kept.iterdir() if path.is_dir()]) == 10


def test_what_remains_must_be_enough(base: Path, tmp_path: Path) -> None:
    data = folders.heads(tmp_path / "data", 9)
    folders.put(data / "patient_10" / "T1.nii.gz", seed=10)
    assert "once the others are left out" in sentence(data, base, leave_out=True)


def test_a_refusal_is_one_sentence_and_exit_code_1(base: Path, tmp_path: Path) -> None:
    data = folders.heads(tmp_path / "data", 1)
    done = folders.run(folders.arguments(data, base, tmp_path / "work"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("neurosieve-train: There are tumour-free scans of 1 patient")


def test_a_folder_without_weights_cannot_be_gone_on_from(
    base: Path, data: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in base.iterdir():
        if path.name != "weights.pt":
            (bare / path.name).write_bytes(path.read_bytes())
    order = Order(data=data, base=bare, work=tmp_path / "work", run="x", private=tmp_path / "p")
    with pytest.raises(ConfigurationError, match=r"holds no weights\.pt"):
        stages.retrain(order, devices.find(devices.Device.CPU))


@pytest.mark.parametrize(
    ("recipe", "why"),
    [("nowhere", "no recipe nowhere"), ("t1", "is for T1"), ("image_folder", "no node can use")],
)
def test_a_recipe_of_another_kind_is_refused(
    base: Path, tmp_path: Path, recipe: str, why: str
) -> None:
    order = Order(data=tmp_path, base=base, work=tmp_path, run="x", private=tmp_path, recipe=recipe)
    with pytest.raises(ConfigurationError, match=why):
        course.choose(order)


def test_the_shipped_model_goes_on_by_its_own_architecture(tmp_path: Path) -> None:
    order = Order(
        data=tmp_path,
        base=inference.default_folder(),
        work=tmp_path,
        run=folders.RUN,
        private=tmp_path,
        steps=4,
    )
    recipe = course.choose(order)
    assert recipe.version == f"2.2.0+{folders.RUN}"
    assert (recipe.max_steps, recipe.checkpoint_every) == (4, 1)
    assert np.isclose(recipe.generator_rate, 2e-4)


def test_a_second_retraining_keeps_the_version_readable() -> None:
    assert course.version("2.2.0+site.20261126-1", "site.20261127-1") == (
        "2.2.0+site.20261126-1.site.20261127-1"
    )


def test_nothing_heavy_is_imported_for_the_help() -> None:
    code = (
        "import sys; import model_training.retraining.command; "
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
