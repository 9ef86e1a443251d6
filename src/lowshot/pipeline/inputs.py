"""The inputs of a recipe's stages: images, class split, transforms. Made when first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from lowshot.data import ClassSplit, ImageDataset, build_dataset, drop_bad_images
from lowshot.errors import InputError
from lowshot.features import FeatureStore
from lowshot.files import file_fingerprint, fingerprint
from lowshot.pipeline.outputs import Outputs
from lowshot.plugins import imported_plugins
from lowshot.progress import say
from lowshot.recipe import Recipe
from lowshot.recipe.schema import SplitSection

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

    @property
    def needs_images(self) -> bool:
        return any(section.features is None for section in self.recipe.representations.values())

    @cached_property
    def plugins(self) -> tuple[str, ...]:
        """Digests of the recipe's plug-in files, as they were when they were imported."""
        digests = {plugin.path: plugin.digest for plugin in imported_plugins()}
        return tuple(digests.get(path.resolve()) or file_fingerprint(path) for path in self.recipe.plugins)

    @cached_property
    def train_images(self) -> ImageDataset:
        """The images that representations are trained on and shots are drawn from."""
        return self._images("train")

    @cached_property
    def test_images(self) -> ImageDataset:
        """The images that accuracies are measured on."""
        return self._images("test")

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
        if self.needs_images:
            return self.train_images.class_names
        store = self._given[0]["train"]
        return store.class_names or [str(label) for label in range(int(store.labels.max()) + 1)]

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
    def split(self) -> ClassSplit:
        """The class split that the recipe names, or a random one of the sizes that it asks for."""
        section = self.recipe.split
        if section.file is not None:
            split = ClassSplit.from_json(section.file)
            # Files of the original may name classes otherwise than folders do; then only their number can be compared.
            same_naming = set(split.label_names) & set(self.class_names)
            split.check(self.class_names if same_naming else len(self.class_names))
            _check_sizes(section, split)
            return split
        base, novel = section.base, section.novel
        if base is None or novel is None:
            quarter = len(self.class_names) // 4
            base, novel = base or (quarter, quarter), novel or (quarter, quarter)
        return ClassSplit.random(self.class_names, base=base, novel=novel, seed=self.recipe.seed)

    def image_of(self, part: str, row: int) -> Any:
        """The PIL image of a row of the train or test part."""
        return (self.train_images if part == "train" else self.test_images).load(row)

    def given(self, part: str) -> list[FeatureStore]:
        """The train or test part of each representation that brings its features."""
        return [parts[part] for parts in self._given]

    @cached_property
    def _given(self) -> list[dict[str, FeatureStore]]:
        """The train and test part of each representation that brings its features."""
        given = [section.features for section in self.recipe.representations.values() if section.features is not None]
        return [{part: FeatureStore.open(files[part]) for part in ("train", "test")} for files in given]

    def _images(self, part: str) -> ImageDataset:
        section = self.recipe.data
        if section.dataset == "auto" and section.root is None:
            raise InputError(
                "data.root is not set: give the folder, zip or JSON list with the images (data.root=photos), "
                "or an embedded data set (data.dataset=glyphs)"
            )
        images = build_dataset(section.dataset, part=part, root=section.root, **section.options)
        if section.on_bad_image == "skip":
            images, skipped = drop_bad_images(images, cache=self.outputs.state, save=not self.dry)
            if skipped:
                total = len(images) + len(skipped)
                say(f"{part}: {len(skipped)} of {total} images cannot be read and are left out", style="yellow")
            self.skipped += [image.reason for image in skipped]
        return images


def _check_sizes(section: SplitSection, split: ClassSplit) -> None:
    """Refuse a split file of other sizes than the recipe says: it was meant for other data."""
    for name, wanted, first, second in (
        ("base", section.base, split.base_1, split.base_2),
        ("novel", section.novel, split.novel_1, split.novel_2),
    ):
        if wanted is not None and tuple(wanted) != (len(first), len(second)):
            raise InputError(
                f"split.file {section.file} has {len(first)} + {len(second)} {name} classes, but split.{name} says "
                f"{wanted[0]} + {wanted[1]}: give the file that belongs to the recipe, or split.{name}=null"
            )
