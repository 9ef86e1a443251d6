"""csv_list: a line an image, path,class or path,class,part."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowshot.data import BadImageError, ImageFiles, build_dataset
from lowshot.errors import InputError

ROWS = ["train/cow/0.png,cow", "train/ant/1.png,ant", "train/bee/2.png,bee", "train/ant/0.png,ant"]
PARTED = [*(f"{row},train" for row in ROWS), "test/ant/0.png,ant,test"]


def write(root: Path, *lines: str, name: str = "list.csv", end: str = "\n", encoding: str = "utf-8") -> Path:
    (root / name).write_text(end.join([*lines, ""]), encoding=encoding, newline="")
    return root / name


def test_rows_are_sorted_by_class_and_path_whatever_the_order_of_lines(parts: Path) -> None:
    dataset = build_dataset("auto", root=write(parts, *ROWS))
    assert dataset.class_names == ["ant", "bee", "cow"]
    assert dataset.paths == ["train/ant/0.png", "train/ant/1.png", "train/bee/2.png", "train/cow/0.png"]
    assert dataset.labels.tolist() == [0, 0, 1, 2]
    assert build_dataset("auto", root=write(parts, *ROWS[::-1])).fingerprint == dataset.fingerprint
    folder = build_dataset("image_folder", root=parts)
    assert dataset.load(1) == folder.load(folder.paths.index("train/ant/1.png"))


@pytest.mark.parametrize(
    "lines",
    [
        ["path,class", *ROWS],
        ["Class,note,Path", *(f"{row.split(',')[1]},x,{row.split(',')[0]}" for row in ROWS)],
        [row.replace(",", ";") for row in ROWS],
        ["path\tclass", *(row.replace(",", "\t") for row in ROWS)],
        [f'"{row.split(",")[0]}", {row.split(",")[1]}' for row in ROWS],
        ["", *ROWS, "", " , "],
    ],
    ids=["header", "other columns", "semicolons", "tabs", "quotes", "blank lines"],
)
def test_every_way_to_write_the_list_means_the_same(parts: Path, lines: list[str]) -> None:
    plain = build_dataset("csv_list", root=write(parts, *ROWS))
    for end, encoding in (("\n", "utf-8"), ("\r\n", "utf-8"), ("\n", "utf-8-sig")):
        found = build_dataset("csv_list", root=write(parts, *lines, name="other.tsv", end=end, encoding=encoding))
        assert found.fingerprint == plain.fingerprint


def test_names_with_commas_and_letters_of_any_language_are_kept(parts: Path) -> None:
    (parts / "train" / "ant" / "1.png").rename(parts / "train" / "ant" / "é, 1.png")
    dataset = build_dataset("csv_list", root=write(parts, '"train/ant/é, 1.png","fourmi, ant"', "train/cow/0.png,cow"))
    assert dataset.class_names == ["cow", "fourmi, ant"]
    assert dataset.load(1).size == (8, 8)


def test_a_column_says_the_part(parts: Path) -> None:
    file = write(parts, "path,class,part", *PARTED)
    assert build_dataset("csv_list", "test", file).paths == ["test/ant/0.png"]
    assert len(build_dataset("csv_list", "train", file)) == 4
    assert build_dataset("csv_list", "test", file).class_names == ["ant", "bee", "cow"]
    assert len(build_dataset("csv_list", "test", file, test_per_class="auto")) == 1
    assert len(build_dataset("csv_list", "test", write(parts, *PARTED))) == 1
    with pytest.raises(InputError, match=r"has a test part already: .*data\.options\.test_per_class=null"):
        build_dataset("csv_list", "test", file, test_per_class=1)
    with pytest.raises(InputError, match="has no image of part 'train'"):
        build_dataset("csv_list", "train", write(parts, "test/ant/0.png,ant,test"))


def test_without_a_test_part_images_can_be_held_out(parts: Path) -> None:
    file = write(parts, *ROWS)
    rest, held = (build_dataset("csv_list", part, file, test_per_class="auto") for part in ("train", "test"))
    assert len(held) == 1
    assert held.labels.tolist() == [0]
    assert sorted(rest.paths + held.paths) == sorted(row.split(",")[0] for row in ROWS)
    with pytest.raises(InputError, match=r"no test part: add a column 'part'.*data\.options\.test_per_class=auto"):
        build_dataset("csv_list", "test", file)


def test_the_list_may_lie_apart_from_the_images(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    file = write(tmp_path / "lists", *ROWS)
    assert build_dataset("csv_list", root=file, image_root=parts).load(0).size == (8, 8)
    with pytest.raises(InputError, match="nowhere does not exist"):
        build_dataset("csv_list", root=file, image_root=tmp_path / "nowhere")


def test_missing_images_are_all_counted_and_the_first_few_named(parts: Path) -> None:
    gone = [f"gone/{number}.png,cow" for number in range(7)]
    dataset = build_dataset("csv_list", root=write(parts, *ROWS, *gone))
    assert isinstance(dataset, ImageFiles)
    with pytest.raises(
        InputError,
        match=r"list\.csv: 7 of 11 listed images are missing in .*: gone/0\.png, .*gone/4\.png and 2 more\. "
        r"Name .*data\.options\.image_root.*data\.on_bad_image=skip",
    ):
        dataset.check_listed()
    with pytest.raises(BadImageError, match=r"gone/0\.png cannot be read"):
        dataset.load(dataset.paths.index("gone/0.png"))
    whole = build_dataset("csv_list", root=write(parts, *ROWS))
    assert isinstance(whole, ImageFiles)
    whole.check_listed()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "lists no images"),
        (["path,class"], "lists no images"),
        (["a.png"], r"line 1: 1 columns, expected path,class or path,class,part"),
        (["a.png,ant,train,x"], "line 1: 4 columns, expected"),
        (["path,label", "a.png,ant"], "line 1: 0 columns are called 'class' of path, label"),
        (["path,class,class", "a.png,ant,bee"], "line 1: 2 columns are called 'class'"),
        (["a.png,ant", "b.png"], "line 2: 1 columns, expected 2"),
        (["a.png,ant", "", "b.png,"], "line 3: the class is ''"),
        (["path,class", ",ant"], "line 2: the path is ''"),
        (["a.png,ant,train", "b.png,ant,val"], "line 2: the part is 'val', expected train or test"),
        (["path,class,part", "a.png,ant,"], "line 2: the part is ''"),
        (["a.png,ant", "b.png,bee", "a.png,bee"], r"lines 1 and 3 both list a\.png"),
        (['a.png,"ant'], "line 1: unexpected end of data"),
    ],
)
def test_a_wrong_list_is_refused_with_file_and_line(parts: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=rf"image list .*list\.csv.*{message}"):
        build_dataset("csv_list", root=write(parts, *lines))


def test_a_file_that_is_no_text_is_refused(parts: Path) -> None:
    (parts / "list.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match=r"list\.csv"):
        build_dataset("auto", root=parts / "list.csv")
    with pytest.raises(InputError, match=r"list2\.csv does not exist"):
        build_dataset("auto", root=parts / "list2.csv")
