"""Find the training and the test part in a tree of image folders, or say which option names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lowshot.checks import check_count
from lowshot.data.holdout import TestPerClass
from lowshot.errors import InputError, first_few

Images = list[tuple[str, int]]
"""The path of each image relative to the prefix, and its index in the listing's files."""

_LIKE_TRAIN = ("train", "training")
_LIKE_TEST = ("test", "testing", "val", "valid", "validation", "eval", "evaluation")


@dataclass(frozen=True)
class Layout:
    """The roles of folders: the options of ``image_folder`` and ``image_zip``.

    Attributes:
        class_depth (int): The number of folders that name a class: 2 for ``ALPHABET/CHARACTER/image``.
        train_folder (str or None): The folder of the training part; None takes ``train`` if there is one with class
            folders in it, ``"."`` all folders but that of the test part.
        test_folder (str or None): The folder of the test part; None takes ``test`` if there is one with class folders
            in it.
        test_per_class (int, "auto" or None): The number of images of each class to hold out as the test part, if the
            tree has no test folder; "auto" takes the test folder if there is one, and else half of each class.
        seed (int): The seed of that holdout.
        prefix (str or None): The folder in which the tree starts; None descends as long as there is only one folder.
    """

    class_depth: int = 1
    train_folder: str | None = None
    test_folder: str | None = None
    test_per_class: TestPerClass | None = None
    seed: int = 0
    prefix: str | None = None

    def __post_init__(self) -> None:
        check_count("class_depth", self.class_depth)


@dataclass(frozen=True)
class Parts:
    """The parts of a tree.

    Attributes:
        folders (dict): Part → its folder, ending in ``/``, or ``""`` for all folders but those of ``apart``.
        apart (tuple of str): The folders at the top, ending in ``/``, that are no classes of the part ``""``.
        unlabelled (str or None): The one of them that is called like the test part but holds no class folders.
    """

    folders: dict[str, str]
    apart: tuple[str, ...] = ()
    unlabelled: str | None = None


def find_prefix(name: str, images: Images, layout: Layout) -> str:
    """The folder in which the tree starts, ending in ``/``, or ``""``.

    Raises:
        InputError: The layout's prefix holds no images.
    """
    if layout.prefix is not None:
        prefix = f"{layout.prefix.strip('/')}/".lstrip("/")
        if not any(path.startswith(prefix) for path, _ in images):
            raise InputError(f"{name} holds no images under prefix {layout.prefix!r} ({top_folders(images)})")
        return prefix
    prefix = ""
    parts = {(given or usual).split("/")[0].lower() for given, usual in _folders_by_name(layout).values()}
    while True:
        tops = {path[len(prefix) :].partition("/")[0] for path, _ in images}
        top = min(tops)
        inner = f"{prefix}{top}/"
        if (
            len(tops) > 1
            or top.lower() in parts
            or any(path.count("/", len(inner)) < layout.class_depth for path, _ in images)
        ):
            return prefix
        prefix = inner


def find_parts(name: str, images: Images, layout: Layout) -> Parts:
    """The folders of the parts, the train part being the whole tree where there are none.

    Args:
        name (str): The name of the tree in error messages.
        images (list of (str, int)): The images, relative to the prefix.
        layout (Layout): The roles of folders that are given.

    Raises:
        InputError: A folder that is given holds no classes, there is a test part without a train part, or folders are
            called like parts but not exactly so; the message names the options to set.
    """
    tops = {path.partition("/")[0] for path, _ in images if "/" in path}
    found: dict[str, str] = {}
    flat: dict[str, str] = {}
    for part, (given, usual) in _folders_by_name(layout).items():
        if given is not None and given.strip("/") in ("", ".") and part == "train":
            found[part] = ""
            continue
        folder = f"{given.strip('/') if given is not None else _called(usual, tops)}/"
        depths = [path.count("/", len(folder)) for path, _ in images if path.startswith(folder)]
        if any(depth >= layout.class_depth for depth in depths):
            found[part] = folder
        elif given is not None:
            raise InputError(
                f"{name} has no class folders with images in {part}_folder {given!r} ({top_folders(images)})"
                if depths
                else f"{name} has no images in {part}_folder {given!r} ({top_folders(images)})"
            )
        elif depths:
            flat[part] = folder
    if len(flat) == 2 and tops == {folder.rstrip("/") for folder in flat.values()}:
        raise InputError(
            f"{name}: {quoted(sorted(flat.values()))} hold images but no class folders, so no image has a label: "
            "expected train/CLASS/IMAGE and test/CLASS/IMAGE, or a JSON list of images and labels"
        )
    if "test" in found and "train" not in found:
        raise InputError(
            f"{name} has a test folder {found['test']!r} but no train folder: name it with "
            f"data.options.train_folder{_train_of(images, found['test'], layout)} ({top_folders(images)})"
        )
    if not found:
        _refuse_look_alikes(name, images, layout)
    # A folder "train" with images directly in it is a class of that name. A folder "test" like that holds pictures
    # that somebody is to label, which every competition hands out; as a class it would spoil all numbers unseen.
    unlabelled = flat.get("test") if found.get("train", "") == "" and layout.train_folder is None else None
    if not found:
        return Parts({"train": ""}, (unlabelled,) if unlabelled else (), unlabelled)
    apart = (found["test"],) if found["train"] == "" and "test" in found else ()
    return Parts(found, apart, unlabelled)


def part_without_images(
    name: str, parts: Parts, images: Images, classes: Mapping[str, Sequence[object]], layout: Layout
) -> InputError:
    """The error about a tree without a test part, with the options that give it one."""
    base = parts.folders["train"]
    alike = [
        top
        for top in sorted({path.partition("/")[0] for path, _ in images if "/" in path})
        if base and f"{top}/" != base and classes.keys() & _classes_in(images, f"{top}/", layout.class_depth)
    ]
    smallest = min(classes, key=lambda cls: len(classes[cls]))
    size = len(classes[smallest])
    held_out = (
        f"hold images out with data.options.test_per_class={max(1, size // 5)}, or half of each class with =auto"
        if size > 1
        else f"hold images out with data.options.test_per_class=1 (class {smallest!r} needs a second image for that)"
    )
    unlabelled = f" ({parts.unlabelled!r} holds images but no class folders)" if parts.unlabelled else ""
    folder = f"={alike[0]}" if alike else ""
    return InputError(
        f"{name} has no test part{unlabelled}: add a folder 'test' with the same class folders, name one with "
        f"data.options.test_folder{folder}, or {held_out}"
    )


def top_folders(images: Images) -> str:
    """The words about the folders that hold images."""
    return f"folders with images: {quoted(sorted({path.partition('/')[0] for path, _ in images if '/' in path}))}"


def quoted(names: Sequence[str]) -> str:
    """The first few names in quotes."""
    return first_few([repr(name) for name in names])


def _folders_by_name(layout: Layout) -> dict[str, tuple[str | None, str]]:
    """Part → the folder that is given for it, and the one it usually has."""
    return {"train": (layout.train_folder, "train"), "test": (layout.test_folder, "test")}


def _called(usual: str, tops: Iterable[str]) -> str:
    """The folder of a name, or else of that name in capitals."""
    alike = sorted(top for top in tops if top.lower() == usual)
    return usual if usual in alike or not alike else alike[0]


def _classes_in(images: Images, base: str, depth: int) -> set[str]:
    names = (path[len(base) :].split("/") for path, _ in images if path.startswith(base))
    return {"/".join(folders[:depth]) for folders in names if len(folders) > depth}


def _train_of(images: Images, test: str, layout: Layout) -> str:
    """The value of ``train_folder`` that has the classes of the test part, with its equals sign; "" if none has."""
    wanted = _classes_in(images, test, layout.class_depth)
    tops = sorted({path.partition("/")[0] for path, _ in images if "/" in path} - {test.partition("/")[0]})
    for top in tops:
        if wanted & _classes_in(images, f"{top}/", layout.class_depth):
            return f"={top}"
    return "=." if wanted & _classes_in(images, "", layout.class_depth) else ""


def _refuse_look_alikes(name: str, images: Images, layout: Layout) -> None:
    """Refuse folders that are all called like parts, and hold folders: as classes they would be two or three."""
    tops = sorted({path.partition("/")[0] for path, _ in images})
    like = {"train": _LIKE_TRAIN, "test": _LIKE_TEST}
    chosen = {part: [top for top in tops if top.lower() in words] for part, words in like.items()}
    if not chosen["train"] or not chosen["test"] or set(tops) != {*chosen["train"], *chosen["test"]}:
        return
    if all(_classes_in(images, f"{top}/", layout.class_depth) for top in tops):
        options = " ".join(f"data.options.{part}_folder={folders[0]}" for part, folders in chosen.items())
        raise InputError(f"{name}: the folders {quoted(tops)} seem to be parts, and not classes: set {options}")
