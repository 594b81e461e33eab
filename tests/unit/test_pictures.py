"""Files and folders of 2D images as volumes."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import agent
from agent import readers
from agent.dicom import volumes
from agent.errors import UnreadableInput
from agent.imaging.volume import Volume
from agent.readers import Arrangement


@cache
def _demo() -> NDArray[np.uint8]:
    paths = sorted((Path(agent.__file__).parent / "demo" / "study").glob("*.dcm"))
    return volumes.load(paths).volume.voxels[:, ::4, ::4].astype(np.uint8)


def heads() -> list[NDArray[np.uint8]]:
    """The 20 slices of the bundled real study, 64 x 64, 8 bit."""
    return list(_demo())


def save(folder: Path, images: list[NDArray[np.uint8]], suffix: str = ".png") -> Path:
    for number, image in enumerate(images, start=1):
        Image.fromarray(image).save(folder / f"slice{number}{suffix}")
    return folder


def test_a_folder_of_neighbouring_slices_is_one_stack_in_natural_order(tmp_path: Path) -> None:
    images = heads()

    (volume,) = readers.read_images(save(tmp_path, images))

    assert volume.sources == tuple(f"slice{n}.png" for n in range(1, 21))
    assert np.array_equal(volume.voxels, np.stack(images))


def test_a_folder_of_unrelated_images_is_one_volume_each(tmp_path: Path) -> None:
    """The same slices in random order: alike, but neighbours no more than others."""
    order = np.random.default_rng(0).permutation(20)

    singles = readers.read_images(save(tmp_path, [heads()[index] for index in order]))

    assert [volume.voxels.shape[0] for volume in singles] == [1] * 20


def test_images_of_different_sizes_are_one_volume_each(tmp_path: Path) -> None:
    images = heads()
    images[3] = images[3][:-1]

    assert len(readers.read_images(save(tmp_path, images))) == 20


def test_the_arrangement_can_be_ordered(tmp_path: Path) -> None:
    save(tmp_path, heads()[:3])

    assert len(readers.read_images(tmp_path)) == 3
    assert len(readers.read_images(tmp_path, arrangement=Arrangement.STACK)) == 1
    save(tmp_path, heads())
    assert len(readers.read_images(tmp_path, arrangement=Arrangement.SINGLE)) == 20


def test_a_stack_of_different_sizes_is_refused(tmp_path: Path) -> None:
    save(tmp_path, [*heads()[:2], heads()[2][:-1]])

    with pytest.raises(UnreadableInput, match="2 different sizes, from 64 x 63 to 64 x 64"):
        readers.read_images(tmp_path, arrangement=Arrangement.STACK)


def test_the_place_of_2d_images_is_nominal_and_said_to_be(tmp_path: Path) -> None:
    (volume,) = readers.read_images(save(tmp_path, heads()))

    assert volume.voxels.shape[1:] == (64, 64)
    assert volume.spacing_mm == (5.0, 3.75, 3.75)  # 240 mm for the longer side
    assert volume.position_mm((1, 2, 3)) == (11.25, 7.5, 5.0)
    assert "nominal" in readers.NOMINAL_NOTE


def one(path: Path) -> Volume:
    (volume,) = readers.read_images(path)
    return volume


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_kept(tmp_path: Path, suffix: str) -> None:
    image = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    path = tmp_path / f"deep{suffix}"
    Image.fromarray(image).save(path)

    assert np.array_equal(one(path).voxels[0], image)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".tiff"])
def test_colour_becomes_grey_in_every_accepted_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"colour{suffix}"
    Image.fromarray(np.full((8, 8, 3), 90, dtype=np.uint8)).save(path)

    assert one(path).voxels == pytest.approx(90, abs=1)


def test_transparency_palettes_and_bits_become_grey(tmp_path: Path) -> None:
    grey = Image.fromarray(np.full((8, 8), 255, dtype=np.uint8))
    for mode in ("RGBA", "LA", "P", "1"):
        path = tmp_path / f"{mode}.png"
        grey.convert(mode).save(path)
        assert (one(path).voxels == 255).all()


def test_the_pages_of_a_tiff_are_slices(tmp_path: Path) -> None:
    pages = [Image.fromarray(image) for image in heads()]
    path = tmp_path / "pages.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])

    volume = one(path)

    assert volume.voxels.shape == (20, 64, 64)
    assert volume.sources[9] == "pages.tif#10"


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_damaged_image_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, heads()[:2])
    (tmp_path / "slice3.png").write_bytes(content)

    with pytest.raises(UnreadableInput, match=r"slice3\.png cannot be read as an image"):
        readers.read_images(tmp_path)


def test_an_image_cut_off_is_refused(tmp_path: Path) -> None:
    whole = save(tmp_path, heads()[:1]) / "slice1.png"
    whole.write_bytes(whole.read_bytes()[:400])

    with pytest.raises(UnreadableInput, match=r"slice1\.png cannot be read"):
        readers.read_images(whole)


def test_a_folder_without_images_is_refused_with_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match=r"found nothing, accepted are \.bmp, "):
        readers.read_images(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(UnreadableInput, match=r"found \.txt, accepted are"):
        readers.read_images(tmp_path)
    with pytest.raises(UnreadableInput, match="There is no file or folder"):
        readers.read_images(tmp_path / "gone")
