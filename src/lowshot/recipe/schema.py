"""The sections of a recipe: keys, types, defaults and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from lowshot.benchmark.metrics import informative_k
from lowshot.data.experiments import MOST_EXPERIMENTS
from lowshot.files import fingerprint
from lowshot.recipe.texts import Halves, Name, PathPattern, RecipePath, Shots, is_name
from lowshot.recipe.tree import to_yaml
from lowshot.representation.settings import TrainSettings

if TYPE_CHECKING:
    from lowshot.features import FeatureFiles

Accuracy = Literal[
    "novel_top5",
    "all_top5",
    "all_prior_top5",
    "novel_only_top5",
    "base_top5",
    "novel_top1",
    "all_top1",
    "all_prior_top1",
    "novel_only_top1",
    "base_top1",
]

MOST_TRAININGS = 100
"""The largest number of trainings of a representation."""

MOST_WORKERS = 1024
"""The largest number of loader processes: more than any machine has cores."""


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, values are not changed after they were checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DataSection(Section):
    """The images, and how they are transformed and loaded."""

    dataset: str = Field("auto", description="registry name; auto picks folder, zip, JSON or CSV list by what root is")
    root: RecipePath | None = Field(None, description="folder, zip, JSON or CSV file; none for embedded data sets")
    options: dict[str, Any] = Field({}, description="parameters of the data set, such as class_depth or test_per_class")
    preset: str = Field(
        "imagenet",
        description="image transforms: imagenet, small or a plug-in's; where it is not given, pretrained weights have "
        "their own",
    )
    transform: dict[str, Any] = Field(
        {},
        description="parameters of the preset, or of pretrained weights' own, such as image_size, flip, mean, std",
    )
    on_bad_image: Literal["error", "skip"] = Field("error", description="skip leaves unreadable images out everywhere")
    workers: int | Literal["auto"] = Field("auto", description="loader processes per training or extraction process")

    @field_validator("workers", mode="before")
    @classmethod
    def _a_number_of_processes(cls, value: Any) -> Any:
        if value != "auto" and not (isinstance(value, int) and 0 <= value <= MOST_WORKERS and value is not True):
            raise ValueError(f"expected auto, or a number of processes from 0 to {MOST_WORKERS}, got {value!r}")
        return value


class SplitSection(Section):
    """The base and novel classes, and the draws of shots."""

    file: RecipePath | None = Field(
        None, description="label_idx.json to use, of the sizes below where given; none draws one"
    )
    base: Halves | None = Field(
        None,
        description="base classes of the validation and of the test half: their number, a fraction of the classes, or "
        "a list of names; 0.5 alone: half of the classes, for both together",
    )
    novel: Halves | None = Field(
        None,
        description="novel classes of the validation and of the test half: their number, a fraction of the classes, or "
        "a list of names; 0.5 alone: half of the classes, for both together",
    )
    experiments: int = Field(5, ge=1, le=MOST_EXPERIMENTS, description="number of draws of shots")
    experiment_files: PathPattern | None = Field(
        None, description="pattern such as splitfile_{:d}.json; none draws from seed"
    )
    max_shots: int = Field(20, ge=1, description="shots drawn per class and experiment; the first n are the n shots")


class ArraysSection(Section):
    """Features and labels in files of other programs."""

    features: PathPattern = Field(description="file of the features; FILE:NAME where it holds several arrays")
    labels: PathPattern = Field(description="file of the labels; FILE:NAME where it holds several arrays")

    @property
    def files(self) -> FeatureFiles:
        """The files, as :meth:`lowshot.features.FeatureStore.open` takes them."""
        from lowshot.features import FeatureFiles

        return FeatureFiles(self.features, self.labels)


def _kind_of_features(value: Any) -> str:
    return "arrays" if isinstance(value, Mapping | ArraysSection) else "file"


GivenFeatures = Annotated[
    Annotated[RecipePath, Tag("file")] | Annotated[ArraysSection, Tag("arrays")], Discriminator(_kind_of_features)
]
"""A features file, or features and labels in files of other programs."""


Views = Literal["one", "flip", "five_crop", "ten_crop"]
VIEWS_TEXT = "one, flip (twice the time), five_crop (five times) or ten_crop (ten times)"


class RepresentationSection(Section):
    """One representation: trained, pretrained, from a checkpoint, or given as feature files."""

    label: str | None = Field(None, description="name in tables and figures; the key when none")
    train: dict[str, Any] = Field({}, description="settings that differ from the recipe's train section")
    seeds: int = Field(
        1,
        ge=1,
        le=MOST_TRAININGS,
        description="number of trainings, from as many seeds; rows are their mean, with an interval over trainings too",
    )
    backbone: str | None = Field(
        None, description="use this pretrained network as it is: efficientnet_lite0, timm:NAME, torchvision:NAME"
    )
    backbone_options: dict[str, Any] = Field({}, description="options of that backbone, such as {img_size: 224}")
    pretrained: bool | str | None = Field(
        None, description="its weights: true for those that its library publishes, or a file of safetensors or torch"
    )
    preset: str | None = Field(
        None, description="image transforms instead of data.preset; weights for those of the pretrained weights"
    )
    transform: dict[str, Any] = Field({}, description="parameters that differ from data.transform")
    checkpoint: RecipePath | None = Field(None, description="use this checkpoint instead of training one")
    network: Name | None = Field(
        None, description="use the network that another representation of the recipe trains, such as with other views"
    )
    views: Views | None = Field(None, description="views instead of extract.views")
    features: dict[Literal["train", "test"], GivenFeatures] | None = Field(
        None,
        description="use these feature files instead of training and extracting; {features: FILE, labels: FILE} "
        "names arrays of other programs",
    )

    @model_validator(mode="after")
    def _one_source(self) -> RepresentationSection:
        given = [key for key in ("train", "backbone", "checkpoint", "network", "features") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(
                f"give one of train, backbone, checkpoint, network and features, not {' and '.join(given)}"
            )
        if self.seeds > 1 and (fixed := [key for key in given if key not in ("train", "network")]):
            raise ValueError(
                f"seeds: {self.seeds} trains the network {self.seeds} times, and {fixed[0]} is not trained: leave one "
                "of the two out"
            )
        if self.backbone is not None and not self.pretrained:
            raise ValueError(
                f"backbone {self.backbone!r} without weights makes random features: give pretrained: true or a file of "
                f"weights, or train it (train: {{backbone: {self.backbone!r}}})"
            )
        if self.backbone is None and (self.pretrained or self.backbone_options):
            raise ValueError(
                "pretrained and backbone_options need a backbone beside them; of a training they stand in train"
            )
        if self.features is not None and (self.preset or self.transform or self.views):
            raise ValueError(
                "features that are given have been made from images already: leave preset, transform and views out"
            )
        if self.features is not None and set(self.features) != {"train", "test"}:
            raise ValueError("features needs both train and test")
        return self

    @property
    def given(self) -> dict[str, Path | FeatureFiles]:
        """The feature files of both parts, as :meth:`lowshot.features.FeatureStore.open` takes them; empty if none."""
        return {
            part: given if isinstance(given, Path) else given.files for part, given in (self.features or {}).items()
        }


class ExtractSection(Section):
    """The extraction of features."""

    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = Field(
        "auto", description="what computes the forward pass; auto: the fastest installed one that agrees with torch"
    )
    precision: Literal["auto", "bf16-mixed", "16-mixed", "32-true"] = Field(
        "auto", description="precision of the forward pass; auto: bf16-mixed where it is fast and agrees with float32"
    )
    views: Views = Field("one", description="views of an image whose mean feature is saved: " + VIEWS_TEXT)
    cache: bool = Field(
        True, description="features of images seen before come from the cache folder (data sets of up to 20 000 images)"
    )
    batch_size: int = Field(256, ge=1, description="images per forward pass and process")
    dtype: Literal["float32", "float16"] = Field("float32", description="type on disk; float16 halves the file")
    devices: int = Field(1, ge=1, description="processes that share the images")


class PartSection(Section):
    """A registered part with its parameters, which may differ from representation to representation."""

    params: dict[str, Any] = Field({}, description="parameters of the part")
    per_representation: dict[str, dict[str, Any]] = Field(
        {}, description="parameters that differ for a representation, by its key"
    )

    def params_for(self, representation: str) -> dict[str, Any]:
        """The part's parameters on one representation."""
        return {**self.params, **self.per_representation.get(representation, {})}


class GeneratorSection(PartSection):
    """One generator."""

    generator: str = Field("analogies", description="registry name")


class MethodSection(PartSection):
    """One method: a classifier, and maybe a generator that adds to its shots."""

    label: str | None = Field(None, description="name in tables and figures; the key when none")
    classifier: str = Field("logistic", description="registry name")
    generator: str | None = Field(None, description="key of the generators section whose features join the shots")
    n_per_class: int = Field(0, ge=0, description="shots and generated features together per novel class, at least")
    representations: tuple[Name, ...] | None = Field(
        None, description="keys of the representations that it is measured on; all when none"
    )
    grid: Literal["default"] | dict[str, list[Any]] | None = Field(
        None,
        description="parameter → list of values, of which tune chooses on val; default is the classifier's own grid",
    )

    @field_validator("grid", mode="before")
    @classmethod
    def _grid_has_values(cls, value: Any) -> Any:
        if value is None or value == "default":
            return value
        if not isinstance(value, Mapping) or not value:
            raise ValueError(f"expected default, or parameters with lists such as {{lr: [0.01, 0.1]}}, got {value!r}")
        for name, values in value.items():
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"{name} needs a list of at least one value to try, got {values!r}")
        return {str(name): list(values) for name, values in value.items()}

    @model_validator(mode="after")
    def _generator_and_count_go_together(self) -> MethodSection:
        if (self.generator is None) != (self.n_per_class == 0):
            raise ValueError("generator and n_per_class go together: give both or neither")
        return self


class GenerationSection(Section):
    """A generator, and the number of examples it brings each class to, for all methods without one."""

    label: str | None = Field(None, description="name that follows the method's label and a plus; the key when none")
    generator: str = Field(description="key of the generators section")
    n_per_class: int = Field(ge=1, description="shots and generated features together per novel class, at least")
    grid: dict[str, list[Any]] | None = Field(
        None, description="joins the method's own grid, such as {n_per_class: [5, 20]}"
    )


class EvaluateSection(Section):
    """The low-shot phase: the methods, the numbers of shots and the calibration bias."""

    setup: Literal["val", "test"] = Field("test", description="the half of the classes that is reported")
    n_shots: Shots = Field(
        (1, 2, 5, 10, 20),
        description="numbers of shots; auto: those of 1, 2, 5, 10 and 20 that enough classes have images for",
    )
    calibrate: Literal["prior", "none"] = Field(
        "prior", description="prior: also report all-class accuracy with a bias between base and novel chosen on val"
    )
    prior_target: Literal["all_top5", "all_top1"] = Field(
        "all_top5",
        description="accuracy that the bias maximises on val; all_top1 by itself where val has up to ten classes",
    )
    methods: dict[Name, MethodSection] = Field(
        {"logistic": MethodSection()},
        min_length=1,
        description="classifiers and generators to compare on every representation",
    )
    generations: dict[Name, GenerationSection] = Field(
        {}, description="each makes a further method METHOD_NAME of every method without a generator"
    )

    def prior_target_for(self, n_classes: int) -> str:
        """The accuracy that the bias maximises where setup val has this many classes."""
        return self.prior_target if "prior_target" in self.model_fields_set else f"all_top{informative_k(n_classes)}"

    @model_validator(mode="before")
    @classmethod
    def _methods_times_generations(cls, section: Any) -> Any:
        """Replace ``generations`` by the methods that they make; a malformed section is left for the checks to name."""
        if not isinstance(section, dict) or not isinstance(generations := section.get("generations"), dict):
            return section
        methods = section.get("methods", {"logistic": {}})
        if not isinstance(methods, dict) or not all(
            is_name(key) and isinstance(part, dict) for key, part in (*methods.items(), *generations.items())
        ):
            return section
        try:
            for generation in generations.values():
                GenerationSection.model_validate(generation)
        except ValidationError:
            return section
        written: dict[str, Any] = {}
        for name, method in methods.items():
            written[name] = method
            for key, generation in generations.items() if method.get("generator") is None else ():
                product = f"{name}_{key}"
                if product in written and product not in methods:
                    raise ValueError(f"generations.{key}: method {product} is made twice, by other names: rename one")
                written[product] = methods.get(product, _with_generation(name, method, key, generation))
        return {**section, "methods": written, "generations": {}}

    @model_validator(mode="after")
    def _shots_differ(self) -> EvaluateSection:
        _check_shots(self.n_shots)
        return self


def _check_shots(n_shots: tuple[int, ...]) -> None:
    if min(n_shots, default=1) < 1 or len(set(n_shots)) != len(n_shots):
        raise ValueError(f"n_shots must be different positive numbers, got {list(n_shots)}")


def _with_generation(name: str, method: dict[str, Any], key: str, generation: dict[str, Any]) -> dict[str, Any]:
    """A method on the shots alone, as YAML has it, turned into one on generated features as well."""
    grids = [part["grid"] for part in (method, generation) if part.get("grid") is not None]
    if len(grids) == 2 and not all(isinstance(grid, dict) for grid in grids):
        raise ValueError(
            f"generations.{key}.grid joins grids that are written out: give methods.{name} one instead of default"
        )
    return {
        **method,
        "label": f"{method.get('label') or name} + {generation.get('label') or key}",
        "generator": generation["generator"],
        "n_per_class": generation["n_per_class"],
        "grid": grids[0] if len(grids) == 1 else {**grids[0], **grids[1]} if grids else None,
    }


class TuneSection(Section):
    """The choice of hyper-parameters on the validation classes."""

    target: str = Field(
        "mean_all_top5",
        description="what tune maximises on val: mean_ and an accuracy; mean_all_top1 by itself for up to ten classes",
    )
    n_shots: tuple[int, ...] | None = Field(
        None, min_length=1, description="numbers of shots to choose on; those of evaluate when none"
    )
    experiments: int | None = Field(None, ge=1, description="number of draws of shots to choose on; all when none")

    def target_for(self, n_classes: int) -> str:
        """The target where setup val has this many classes."""
        return self.target if "target" in self.model_fields_set else f"mean_all_top{informative_k(n_classes)}"


class EpisodesSection(Section):
    """The measurement on N-way K-shot episodes."""

    n_way: int = Field(5, ge=2, description="novel classes of an episode, which alone compete")
    n_shots: tuple[int, ...] = Field((1, 5), min_length=1, description="shots of each class; a measurement per number")
    n_query: int = Field(15, ge=1, description="queries of each class of an episode")
    n_tasks: int = Field(600, ge=1, description="number of episodes, the same for all methods and representations")
    methods: tuple[str, ...] = Field((), description="keys of evaluate.methods that are measured; all when empty")

    @model_validator(mode="after")
    def _shots_differ(self) -> EpisodesSection:
        _check_shots(self.n_shots)
        return self


class ReportSection(Section):
    """The tables, figures and page of the results."""

    title: str | None = Field(None, description="heading of the report; the recipe's name when none")
    examples_at: int | None = Field(None, description="number of shots of the example strip; the largest when none")
    examples_of: str | None = Field(
        None, description="key of evaluate.methods of the example strip; the best on each representation when none"
    )
    metrics: tuple[Accuracy, ...] = Field(
        (), description="accuracies to show, such as all_top5; all measured when empty"
    )
    paper: bool = Field(False, description="compare the results with the published tables of Hariharan & Girshick")


def training_name(representation: str, number: int) -> str:
    """The name of a training of a representation, which files and stages are named by."""
    return representation if number == 1 else f"{representation}@{number}"


class Recipe(Section):
    """A checked recipe. ``model_dump(mode="json")`` is its canonical form."""

    name: Name = Field(description="names the output folder")
    description: str = Field("", description="text on what is compared, for the report")
    seed: int = Field(0, ge=0, description="the one seed that everything random derives from")
    output: RecipePath | None = Field(None, description="folder of the results; runs/NAME when none")
    plugins: tuple[RecipePath, ...] = Field((), description="Python files to import first; relative to the recipe")
    data: DataSection = DataSection()
    split: SplitSection = SplitSection()
    train: TrainSettings = TrainSettings()
    representations: dict[Name, RepresentationSection] = Field(min_length=1)
    extract: ExtractSection = ExtractSection()
    generators: dict[Name, GeneratorSection] = {}
    tune: TuneSection = TuneSection()
    evaluate: EvaluateSection = EvaluateSection()
    episodes: EpisodesSection | None = Field(
        None, description="also measure on N-way K-shot episodes of novel classes; none runs no episodes"
    )
    report: ReportSection = ReportSection()

    @property
    def trainings(self) -> dict[str, tuple[str, int]]:
        """The trainings of all representations by name, each with the key of its representation and its number.

        The first one has the name of the representation, as the only one has: ``sgm``, ``sgm@2``, ``sgm@3``. No key has
        an ``@``. A representation that is not trained counts as one training.
        """
        return {
            training_name(key, number): (key, number)
            for key, section in self.representations.items()
            for number in range(1, section.seeds + 1)
        }

    def training_seed(self, number: int) -> int:
        """The seed of a representation's training: that of the recipe for the first one."""
        if number == 1:
            return self.seed
        return int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0] >> 1)

    def train_settings(self, representation: str) -> TrainSettings:
        """The settings of the training of one representation's network: the shared section with its own differences."""
        shared = self.train.model_dump(exclude_unset=True)
        return TrainSettings.model_validate({**shared, **self.representations[self.network_of(representation)].train})

    def network_of(self, representation: str) -> str:
        """The key of the representation whose network this one uses: its own, unless it names another's."""
        named = self.representations[representation].network
        return named if named in self.representations else representation

    def teachers(self, representation: str) -> list[str]:
        """The other representations whose checkpoints the objectives of a training start from."""
        section = self.representations[representation]
        if any((section.features, section.checkpoint, section.backbone, section.network)):
            return []
        if not (objective := self.train_settings(representation).objective):
            return []
        from lowshot.representation.objectives.combination import checkpoint_parameters

        named = [value for _, _, value in checkpoint_parameters(objective) if value in self.representations]
        return list(dict.fromkeys(named))

    def has_weights(self, representation: str) -> bool:
        """True where a representation has pretrained weights, as it is or to start a training from."""
        section = self.representations[representation]
        if section.checkpoint is not None or section.features is not None:
            return False
        return section.backbone is not None or bool(self.train_settings(representation).starts_from)

    def label(self, representation: str) -> str:
        """The name of a representation in tables and figures."""
        return self.representations[representation].label or representation

    def method_label(self, method: str) -> str:
        """The name of a method in tables and figures."""
        return self.evaluate.methods[method].label or method

    def methods_of(self, representation: str) -> list[str]:
        """The keys of the methods that are measured on a representation, in the recipe's order."""
        methods = self.evaluate.methods.items()
        return [key for key, one in methods if one.representations is None or representation in one.representations]

    @property
    def tune_n_shots(self) -> tuple[int, ...]:
        """The numbers of shots that hyper-parameters are chosen on."""
        return self.tune.n_shots or self.evaluate.n_shots

    @property
    def folder(self) -> Path:
        """The folder of the results."""
        return self.output or Path("runs") / self.name

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the recipe without the paths it is read from and writes to, and without descriptions."""
        elsewhere = {"output", "description", "name", "report", "plugins"}
        tree = self.model_dump(mode="json", exclude=elsewhere)
        for section in tree["representations"].values():
            # A key that says nothing is none, as in recipes from before there was one.
            for key, nothing in (("seeds", 1), ("network", None), ("views", None)):
                if section[key] == nothing:
                    del section[key]
        for method in tree["evaluate"]["methods"].values():
            if method["representations"] is None:
                del method["representations"]
        if not self.train.objective:
            del tree["train"]["objective"]
        return fingerprint(tree, [plugin.name for plugin in self.plugins])

    def to_yaml(self) -> str:
        """The resolved recipe, every default filled in but for those that follow the classes or the weights."""
        tree = self.model_dump(mode="json")
        for name in {"preset", "transform"} - self.data.model_fields_set:  # pretrained weights have their own
            del tree["data"][name]
        for key, section, name in (("tune", self.tune, "target"), ("evaluate", self.evaluate, "prior_target")):
            if name not in section.model_fields_set:
                del tree[key][name]
        return to_yaml(tree)
