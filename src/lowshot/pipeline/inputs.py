"""The inputs of a recipe's stages: images, class split, transforms. Made when first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lowshot.data import ClassSplit, ImageDataset, ImageFiles, build_dataset, drop_bad_images
from lowshot.data.class_names import check_same_classes, same_naming
from lowshot.data.halves import whole_numbers
from lowshot.data.summary import shared_line, summary
from lowshot.errors import InputError, first_few
from lowshot.features import FeatureStore
from lowshot.files import file_fingerprint, fingerprint, resolved
from lowshot.pipeline.class_choice import Classes, check_count_of_classes
from lowshot.pipeline.outputs import Outputs
from lowshot.plugins import imported_plugins
from lowshot.progress import say
from lowshot.recipe import Recipe, shots_per_setup
from lowshot.recipe.data_sections import SplitSection

if TYPE_CHECKING:
    from lowshot.data import Transforms


class Inputs:
    """The images and the split of one recipe.

    A recipe whose representations all bring their own feature files needs no images; then class names and labels
    come from the first of these files.

    Attributes:
        recipe (Recipe): The recipe.
        dry (bool): True where looking at the images must write nothing into the output folder.
        outputs (Outputs): The files of its results.
        skipped (list of str): The unreadable images that were left out, each with the reason.
    """

    def __init__(self, recipe: Recipe, dry: bool = False) -> None:
        self.recipe = recipe
        self.dry = dry
        self.outputs = Outputs(recipe.folder)
        self.skipped: list[str] = []
        self.derived = not recipe.evaluate.n_shots

    def settle(self) -> None:
        """Put numbers of shots that the data have in place of ``evaluate.n_shots: auto``.

        Raises:
            InputError: The data cannot be read, or no number of shots fits them.
        """
        if self.recipe.evaluate.n_shots:
            return
        section = self.recipe.split
        self.classes.check_enough()
        if section.file is None:
            n_shots = self.classes.n_shots(section)
        else:
            room = int(self.classes.train[self.split.novel].min())
            n_shots = self.classes.fitting_shots(room, section.max_shots)
        evaluate = self.recipe.evaluate.model_copy(update={"n_shots": n_shots})
        self.recipe = self.recipe.model_copy(update={"evaluate": evaluate})

    @property
    def needs_images(self) -> bool:
        return any(section.features is None for section in self.recipe.representations.values())

    @cached_property
    def plugins(self) -> dict[str, str]:
        """Name → digest of the recipe's plug-in files, as they were when they were imported."""
        digests = {plugin.path: plugin.digest for plugin in imported_plugins()}
        names = [path.name for path in self.recipe.plugins]
        return {
            name if names.count(name) == 1 else f"{name} ({number})": digests.get(resolved(path))
            or file_fingerprint(path)
            for number, (name, path) in enumerate(zip(names, self.recipe.plugins), start=1)
        }

    @cached_property
    def train_images(self) -> ImageDataset:
        """The images that representations are trained on and shots are drawn from."""
        return self._images("train")

    @cached_property
    def test_images(self) -> ImageDataset:
        """The images that accuracies are measured on."""
        images = self._images("test")
        check_same_classes("the train part", self.train_images.class_names, "the test part", images.class_names)
        return images

    @cached_property
    def transforms(self) -> Transforms:
        from lowshot.data import build_transforms

        return build_transforms(self.recipe.data.preset, **self.recipe.data.transform)

    @cached_property
    def data_fingerprint(self) -> str:
        """A digest of the images, or of the rows of the given features, that experiments are drawn from."""
        if self.needs_images:
            return fingerprint(self.train_images.fingerprint, self.test_images.fingerprint)
        return fingerprint(self.class_names, self.given_rows)

    @cached_property
    def given_rows(self) -> list[str]:
        """Digests of labels and image paths of all given features: row numbers mean the same in each train part."""
        return [fingerprint(store.labels, store.paths) for parts in self._given for store in parts.values()]

    @cached_property
    def class_names(self) -> list[str]:
        """The names of the classes: those of the images, or else of the first given features that state them."""
        if self.needs_images:
            return self.train_images.class_names
        stores = [store for parts in self._given for store in parts.values()]
        named = (store.class_names for store in stores if store.class_names is not None)
        return next(named, None) or [str(label) for label in range(max(int(s.labels.max()) for s in stores) + 1)]

    def check_class_names(self) -> None:
        """Refuse given features whose classes are not those of the images, or of the other given features.

        Raises:
            InputError: Class lists differ; the message says in what.
        """
        stores = [store for parts in self._given for store in parts.values() if store.class_names is not None]
        owner = self.data_name if self.needs_images else str(stores[0].path) if stores else ""
        for store in stores:
            check_same_classes(owner, self.class_names, str(store.path), store.class_names)

    @property
    def data_name(self) -> str:
        """What lines about the images call them: their root, or their data set."""
        section = self.recipe.data
        return section.dataset if section.root is None else str(section.root)

    @cached_property
    def listing(self) -> tuple[Any, list[str] | None]:
        """Labels (N,) and image paths of the train part, in row order."""
        if self.needs_images:
            return self.train_images.labels, self.train_images.paths
        store = self._given[0]["train"]
        return store.labels, store.paths

    @cached_property
    def part_labels(self) -> dict[str, Any]:
        """Labels (N,) of the rows of both parts, "train" and "test"."""
        if self.needs_images:
            return {"train": self.train_images.labels, "test": self.test_images.labels}
        return {part: store.labels for part, store in self._given[0].items()}

    @cached_property
    def classes(self) -> Classes:
        """The classes with the number of their images in each part."""
        sizes = [np.bincount(self.part_labels[part], minlength=len(self.class_names)) for part in ("train", "test")]
        return Classes(self.data_name if self.needs_images else "the features", self.class_names, *sizes)

    @cached_property
    def split(self) -> ClassSplit:
        """The class split that the recipe names, or a random one of the sizes that it asks for."""
        section = self.recipe.split
        if section.file is not None:
            split = ClassSplit.from_json(section.file)
            # Files of the original may name classes otherwise than folders do; then only their number can be compared.
            comparable = same_naming(split.label_names, self.class_names)
            split.check(self.class_names if comparable else len(self.class_names))
            _check_halves(section, split)
            return split
        check_count_of_classes(self.data_name if self.needs_images else "the features", self.class_names)
        if section.base is not None and section.novel is not None:  # a mistake that shows without the test part
            ClassSplit.random(self.class_names, section.base, section.novel)
        most = max(max(n_shots, default=1) for *_, n_shots in shots_per_setup(self.recipe))
        return self.classes.draw(section, self.recipe.seed, most)

    @property
    def classes_were_chosen(self) -> bool:
        """True where the split is not that of the seed alone, because some classes have too few images for it."""
        section, seed = self.recipe.split, self.recipe.seed
        return section.file is None and self.split != self.classes.plain_draw(section, seed)

    @property
    def n_val_classes(self) -> int:
        """The number of classes that compete on setup "val"."""
        setup = self.split.setup("val")
        return len(setup.base) + len(setup.novel)

    @property
    def unused_classes(self) -> str | None:
        """A sentence on the classes that the split leaves out; None where all take part."""
        total, used = self.split.num_classes, len(self.split.base) + len(self.split.novel)
        if used == total:
            return None
        small = self.classes.unused(self.split)
        why = f"; too few images: {first_few(small)}" if small else ""
        return (
            f"{total} classes: {used} take part, {total - used} are unused "
            f"(split.base and split.novel say how many{why})"
        )

    def image_of(self, part: str, row: int) -> Any:
        """The PIL image of a row of the train or test part."""
        return (self.train_images if part == "train" else self.test_images).load(row)

    @cached_property
    def image_lines(self) -> list[str]:
        """A line on what the images are and what was left out or taken in, and one on pictures in both parts."""
        if not self.needs_images:
            return []
        train, test = self.train_images, self.test_images
        shared = shared_line(self.data_name, train, test)
        return [summary(self.data_name, train, test, len(self.skipped)), *([] if shared is None else [shared])]

    @property
    def derived_line(self) -> str | None:
        """The line on what was derived from the data; None where the recipe says everything."""
        if not self.derived:
            return None
        split, shots = self.split, self.recipe.evaluate.n_shots
        held = self.classes.test[np.union1d(split.base, split.novel)]
        each = str(held.min()) if held.min() == held.max() else f"{held.min()} to {held.max()}"
        return (
            f"{split.num_classes} classes; {each} {'of each held out' if self.holds_out else 'test images of each'}; "
            f"base {len(split.base_1)} + {len(split.base_2)} and novel {len(split.novel_1)} + {len(split.novel_2)} "
            f"classes (val + test); n = {', '.join(map(str, shots))}"
            + ("" if self.exhausted is None else f"; {self.exhausted}")
        )

    @property
    def exhausted(self) -> str | None:
        """The words on a number of shots for which every draw takes the same images; None where there is none."""
        shots = max(self.recipe.evaluate.n_shots)
        novel = self.split.setup(self.recipe.evaluate.setup).novel
        if self.recipe.split.experiments == 1 or (self.classes.train[novel] > shots).any():
            return None
        return f"n = {shots} takes all there are, so every draw is the same and its interval says nothing"

    @property
    def holds_out(self) -> bool:
        """True where the test part is held out of the training part."""
        section = self.recipe.data
        asked = section.options.get("test_per_class") if self.needs_images else None
        if asked != "auto":
            return asked is not None
        options = {name: value for name, value in section.options.items() if name != "test_per_class"}
        try:
            build_dataset(section.dataset, part="test", root=section.root, **options)
        except InputError:  # there is no test part
            return True
        return False

    def say_images(self) -> None:
        """Say the lines about the images, and what was derived from them."""
        for line, style in zip(self.image_lines, ("yellow" if self.skipped else "dim", "yellow")):
            say(line, style=style)
        if self.derived_line is not None:
            say(self.derived_line)

    def given(self, part: str) -> list[FeatureStore]:
        """The train or test part of each representation that brings its features."""
        return [parts[part] for parts in self._given]

    @cached_property
    def _given(self) -> list[dict[str, FeatureStore]]:
        """The train and test part of each representation that brings its features."""
        given = [section.given for section in self.recipe.representations.values() if section.given]
        return [{part: FeatureStore.open(files[part]) for part in ("train", "test")} for files in given]

    def _images(self, part: str) -> ImageDataset:
        section = self.recipe.data
        if section.dataset == "auto" and section.root is None:
            raise InputError(
                "data.root is not set: give the folder, zip, JSON or CSV list with the images (data.root=photos), "
                "or an embedded data set (data.dataset=glyphs)"
            )
        images = build_dataset(section.dataset, part=part, root=section.root, **section.options)
        if section.on_bad_image == "error" and isinstance(images, ImageFiles):
            images.check_listed()
        if section.on_bad_image == "skip":
            images, skipped = drop_bad_images(images, cache=self.outputs.state, save=not self.dry)
            self.skipped += [image.reason for image in skipped]
        return images


def _check_halves(section: SplitSection, split: ClassSplit) -> None:
    """Refuse a split file with other classes, or another number of them, than the recipe says: it is of other data."""
    base, novel = whole_numbers(section.base or (1, 1), section.novel or (1, 1), split.num_classes)
    for name, halves, groups in (
        ("base", section.base and base, (split.base_1, split.base_2)),
        ("novel", section.novel and novel, (split.novel_1, split.novel_2)),
    ):
        for half, group in zip(halves or (), groups):
            names = sorted(split.label_names[label] for label in group)
            if half != len(group) if isinstance(half, int | float) else sorted(half) != names:
                said = " + ".join(
                    str(half) if isinstance(half, int | float) else first_few(half) for half in halves or ()
                )
                raise InputError(
                    f"split.file {section.file} has {len(groups[0])} + {len(groups[1])} {name} classes, but "
                    f"split.{name} says {said}: give the file that belongs to the recipe, or split.{name}=null"
                )
