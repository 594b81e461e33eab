"""How `neurosieve-train prepare` deals splits, and what keeps them."""

from pathlib import Path

import pytest

from model_training import collection
from model_training.collection import Split
from source_folders import digests, grey, picture, prepare


def fill_with_pictures(source: Path, count: int = 40) -> None:
    """As many normal as abnormal people, one image each."""
    for number in range(count):
        folder = ("yes", "no")[number % 2]
        picture(source / folder / f"sub-{number:03}.png", grey(number))


def test_splits_have_their_shares_in_each_class(source: Path, out: Path) -> None:
    fill_with_pictures(source)

    prepare(source, out)

    for abnormal in (True, False):
        listed = [one for one in collection.members(out) if one.abnormal is abnormal]
        counts = [len(collection.of_split(listed, split)) for split in Split]
        assert counts == [12, 3, 5]


def test_the_same_source_gives_the_same_bytes_and_another_seed_other_splits(
    source: Path, out: Path, tmp_path: Path
) -> None:
    fill_with_pictures(source, 12)

    first = prepare(source, out)
    before = digests(out)
    prepare(source, out)
    prepare(source, tmp_path / "beside")
    other = prepare(source, tmp_path / "seeded", "--seed", 1)

    assert digests(out) == before == digests(tmp_path / "beside")
    assert other.column("split") != first.column("split")


def test_more_data_moves_nobody_who_was_dealt_before(source: Path, out: Path) -> None:
    fill_with_pictures(source, 12)
    before = prepare(source, out).column("split")
    fill_with_pictures(source, 40)

    after = prepare(source, out)

    assert {name: after.column("split")[name] for name in before} == before
    assert "keep the split" in after.result.output


@pytest.mark.parametrize("named", [True, False])
def test_a_table_settles_splits_by_name_or_beside_the_source(
    source: Path, out: Path, tmp_path: Path, named: bool
) -> None:
    fill_with_pictures(source, 6)
    table = (tmp_path if named else source) / "split.csv"
    table.write_text("subject,split\n" + "".join(f"sub-{n:03},test\n" for n in range(5)))

    done = prepare(source, out, *(("--split-file", table) if named else ()))

    splits = done.column("split")
    assert [splits[f"{('yes', 'no')[n % 2]}/sub-{n:03}.png"] for n in range(5)] == ["test"] * 5


def test_a_table_that_tears_a_group_apart_is_refused(source: Path, out: Path) -> None:
    for session in ("a", "b"):
        picture(source / f"sub-1_ses-{session}.png", grey(ord(session)))
    (source / "split.csv").write_text("file,split\nsub-1_ses-a,train\nsub-1_ses-b,test\n")

    done = prepare(source, out)

    assert done.result.exit_code == 1
    assert "into different splits" in done.result.output
    assert not out.exists()
