"""The recipe: one YAML file that says what is trained on what, how it is evaluated, and nothing else.

YAML → OmegaConf (dotted overrides such as ``train.epochs=5``, interpolation) → pydantic (types, unknown keys,
defaults). Every mistake is collected before anything is reported. Importing this module does not import torch.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lowshot.errors import InputError, did_you_mean
from lowshot.io import fingerprint, read_text
from lowshot.representation.settings import TrainSettings


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, values are not changed after they were checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DataSection(Section):
    dataset: str = Field("auto", description="registry name; auto picks folder, zip or JSON list by what root is")
    root: Path | None = Field(None, description="folder, zip file or JSON file; none for embedded data sets")
    options: dict[str, Any] = Field({}, description="parameters of the data set, such as class_depth or test_per_class")
    preset: str = Field("imagenet", description="image transforms: imagenet, small or a plug-in's")
    transform: dict[str, Any] = Field({}, description="parameters of the preset, such as image_size, flip, mean, std")
    on_bad_image: Literal["error", "skip"] = Field("error", description="skip leaves unreadable images out everywhere")
    workers: int | Literal["auto"] = Field("auto", description="loader processes per training or extraction process")


class SplitSection(Section):
    file: Path | None = Field(None, description="label_idx.json to use; none makes a random split from seed")
    base: tuple[int, int] | None = Field(None, description="base classes of the validation and of the test half")
    novel: tuple[int, int] | None = Field(None, description="novel classes of the validation and of the test half")
    experiments: int = Field(5, ge=1, description="how many draws of shots")
    experiment_files: str | None = Field(None, description="pattern such as splitfile_{:d}.json; none draws from seed")
    max_shots: int = Field(20, ge=1, description="shots drawn per class and experiment; the first n are the n shots")

    @model_validator(mode="after")
    def _one_source(self) -> SplitSection:
        if self.file is not None and (self.base is not None or self.novel is not None):
            raise ValueError("give either file or base and novel sizes, not both")
        return self


class RepresentationSection(Section):
    label: str | None = Field(None, description="name in tables and figures; the key when none")
    train: dict[str, Any] = Field({}, description="what differs from the recipe's train section")
    checkpoint: Path | None = Field(None, description="use this checkpoint instead of training one")
    features: dict[Literal["train", "test"], Path] | None = Field(
        None, description="use these feature files instead of training and extracting"
    )

    @model_validator(mode="after")
    def _one_source(self) -> RepresentationSection:
        given = [key for key in ("train", "checkpoint", "features") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"give one of train, checkpoint and features, not {' and '.join(given)}")
        if self.features is not None and set(self.features) != {"train", "test"}:
            raise ValueError("features needs both train and test")
        return self


class ExtractSection(Section):
    precision: Literal["auto", "bf16-mixed", "16-mixed", "32-true"] = Field(
        "auto", description="of the forward pass; auto: bf16-mixed where the processor computes with bfloat16"
    )
    batch_size: int = Field(256, ge=1, description="images per forward pass and process")
    dtype: Literal["float32", "float16"] = Field("float32", description="on disk; float16 halves the file")
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
    generator: str = Field("analogies", description="registry name")


class MethodSection(PartSection):
    label: str | None = Field(None, description="name in tables and figures; the key when none")
    classifier: str = Field("logistic", description="registry name")
    generator: str | None = Field(None, description="key of the generators section whose features join the shots")
    n_per_class: int = Field(0, ge=0, description="shots and generated features together per novel class, at least")

    @model_validator(mode="after")
    def _generation_is_whole(self) -> MethodSection:
        if (self.generator is None) != (self.n_per_class == 0):
            raise ValueError("generator and n_per_class go together: give both or neither")
        return self


class EvaluateSection(Section):
    setup: Literal["val", "test"] = Field("test", description="the half of the classes that is reported")
    n_shots: tuple[int, ...] = Field((1, 2, 5, 10, 20), min_length=1, description="numbers of shots")
    calibrate: Literal["prior", "none"] = Field(
        "prior", description="prior: also report all-class accuracy with a bias between base and novel chosen on val"
    )
    prior_target: Literal["all_top5", "all_top1"] = Field("all_top5", description="what the prior maximises on val")
    methods: dict[str, MethodSection] = Field(
        {"logistic": MethodSection()}, min_length=1, description="what is compared on every representation"
    )

    @model_validator(mode="after")
    def _shots_are_sane(self) -> EvaluateSection:
        if min(self.n_shots) < 1 or len(set(self.n_shots)) != len(self.n_shots):
            raise ValueError(f"n_shots must be different positive numbers, got {list(self.n_shots)}")
        return self


class ReportSection(Section):
    title: str | None = Field(None, description="heading of the report; the recipe's name when none")
    examples_at: int | None = Field(None, description="number of shots of the example strip; the largest when none")


class Recipe(Section):
    """A whole recipe, checked. ``model_dump(mode="json")`` is its canonical form."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the output folder")
    description: str = Field("", description="what is compared, for the reader of the report")
    seed: int = Field(0, ge=0, description="the one seed that everything random derives from")
    output: Path | None = Field(None, description="where results go; runs/NAME when none")
    plugins: tuple[Path, ...] = Field((), description="Python files to import first; relative to the recipe")
    data: DataSection = DataSection()
    split: SplitSection = SplitSection()
    train: TrainSettings = TrainSettings()
    representations: dict[str, RepresentationSection] = Field(min_length=1)
    extract: ExtractSection = ExtractSection()
    generators: dict[str, GeneratorSection] = {}
    evaluate: EvaluateSection = EvaluateSection()
    report: ReportSection = ReportSection()

    def train_settings(self, representation: str) -> TrainSettings:
        """The training settings of one representation: the shared section with its own differences."""
        shared = self.train.model_dump(exclude_unset=True)
        return TrainSettings.model_validate({**shared, **self.representations[representation].train})

    def label(self, representation: str) -> str:
        """The name of a representation in tables and figures."""
        return self.representations[representation].label or representation

    def method_label(self, method: str) -> str:
        """The name of a method in tables and figures."""
        return self.evaluate.methods[method].label or method

    @property
    def folder(self) -> Path:
        """Where the results of this recipe live."""
        return self.output or Path("runs") / self.name

    @property
    def fingerprint(self) -> str:
        """A digest of everything in the recipe but where it writes and how it is described."""
        return fingerprint(self.model_dump(mode="json", exclude={"output", "description", "name", "report"}))

    def to_yaml(self) -> str:
        """The resolved recipe, every default filled in."""
        from omegaconf import OmegaConf

        return OmegaConf.to_yaml(OmegaConf.create(self.model_dump(mode="json")))


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override and check a recipe, and import the plugins it names.

    Args:
        path: a YAML file, or the name of a recipe that comes with lowshot (``glyphs``).
        overrides: ``key.subkey=value`` as on the command line; values are YAML.

    Raises:
        InputError: with one line for each mistake.
    """
    recipe, wrong = read_recipe(path, overrides)
    if wrong or recipe is None:
        raise InputError("\n".join([f"recipe {find_recipe(path)} has mistakes:", *wrong]))
    return recipe


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Recipe | None, list[str]]:
    """The recipe, as far as it can be made out, and every mistake in it that shows without looking at the data.

    Raises:
        InputError: there is no such file, or it is not YAML.
    """
    from lowshot.registry import import_plugin

    source = find_recipe(path)
    recipe, wrong = _checked(_tree(source, overrides))
    if recipe is None:
        return None, wrong
    recipe = recipe.model_copy(update={"plugins": tuple(source.parent / plugin for plugin in recipe.plugins)})
    for plugin in recipe.plugins:
        try:
            import_plugin(plugin)
        except InputError as error:
            wrong.append(f"plugins: {error}")
    return recipe, [*wrong, *cross_complaints(recipe), *registry_complaints(recipe)]


def _checked(tree: dict[str, Any]) -> tuple[Recipe | None, list[str]]:
    """Check types and keys; what is wrong is set aside and the rest checked again: no mistake hides another."""
    wrong: list[str] = []
    while True:
        try:
            return Recipe.model_validate(tree), wrong
        except ValidationError as error:
            wrong += [line for line in complaints(error, Recipe) if line not in wrong]
            set_aside = [_set_aside(tree, mistake["loc"], mistake["type"]) for mistake in error.errors()]
            if not any(set_aside):
                return None, wrong


def _set_aside(tree: Any, location: Sequence[str | int], kind: str) -> bool:
    """Remove the value that a mistake is about, or put a stand-in where one is missing; False if neither can be."""
    if kind == "missing":
        stand_in: dict[tuple[str | int, ...], Any] = {("name",): "unnamed", ("representations",): {"unnamed": {}}}
        if tuple(location) in stand_in:
            tree[location[0]] = stand_in[tuple(location)]
            return True
        return False
    parent, key = None, None
    for part in location:  # the last parts may name a member of a union, not a key
        if not isinstance(tree, dict) or part not in tree:
            break
        parent, key, tree = tree, part, tree[part]
    if parent is None:
        return False
    if kind == "too_short" and key == "representations":
        parent[key] = {"unnamed": {}}
    elif kind == "value_error" and key == "train" and tree.get("loss") is not None:
        tree["loss_weight"] = 1.0  # so that the name of the loss is checked as well
    else:
        del parent[key]
    return True


def find_recipe(path: str | Path) -> Path:
    """The file behind a recipe's path or, when there is no such file, behind the name of an embedded recipe."""
    path = Path(path)
    if path.is_file():
        return path
    embedded = {file.stem: file for file in embedded_recipes()}
    if str(path) in embedded:
        return embedded[str(path)]
    raise InputError(f"recipe {path} does not exist. {did_you_mean(path.stem, embedded)}")


def embedded_recipes() -> list[Path]:
    """The recipes that come with lowshot."""
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))


def _tree(source: Path, overrides: Sequence[str]) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    text = read_text(source, "recipe")
    try:
        tree: Any = OmegaConf.create(text) if text.strip() else OmegaConf.create({})
        if not OmegaConf.is_dict(tree):
            raise InputError(f"recipe {source} must be a mapping of sections such as data: and train:")
        for override in overrides:
            key, equals, _ = override.partition("=")
            if not equals or not key:
                raise InputError(f"override {override!r} must have the form key.subkey=value")
            tree = OmegaConf.merge(tree, OmegaConf.from_dotlist([override]))
        return OmegaConf.to_container(tree, resolve=True)
    except YAMLError as error:
        raise InputError(f"recipe {source} is not valid YAML: {' '.join(str(error).split())}") from None
    except OmegaConfBaseException as error:
        raise InputError(f"recipe {source} with {list(overrides)}: {str(error).splitlines()[0]}") from None


def complaints(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each mistake that pydantic found: the dotted key, what is wrong, what was meant."""
    lines = []
    for mistake in error.errors(include_url=False):
        location = [str(part) for part in mistake["loc"]]
        key = ".".join(location)
        if mistake["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key. {did_you_mean(location[-1], _keys_beside(model, location))}")
        elif mistake["type"] == "missing":
            lines.append(f"{key}: is missing and has no default")
        elif mistake["type"] == "value_error":
            lines += [f"{key}: {line}" if key else line for line in str(mistake["ctx"]["error"]).splitlines()]
        else:
            message = mistake["msg"][0].lower() + mistake["msg"][1:]
            lines.append(f"{key}: {message}, got {mistake['input']!r}")
    return lines


def cross_complaints(recipe: Recipe) -> list[str]:
    """Parts of a recipe that do not fit together, one line each."""
    wrong: list[str] = []
    for name in recipe.representations:
        try:
            recipe.train_settings(name)
        except ValidationError as error:
            wrong += [f"representations.{name}.train.{line}" for line in complaints(error, TrainSettings)]
    parts: dict[str, PartSection] = {f"generators.{name}": part for name, part in recipe.generators.items()}
    for name, method in recipe.evaluate.methods.items():
        parts[f"evaluate.methods.{name}"] = method
        if method.generator is not None and method.generator not in recipe.generators:
            wrong.append(
                f"evaluate.methods.{name}.generator: {method.generator!r} is not in the generators section. "
                f"{did_you_mean(method.generator, recipe.generators)}"
            )
    wrong += [
        f"{where}.per_representation.{key}: no such representation. {did_you_mean(key, recipe.representations)}"
        for where, part in parts.items()
        for key in part.per_representation
        if key not in recipe.representations
    ]
    if max(recipe.evaluate.n_shots) > recipe.split.max_shots:
        wrong.append(
            f"evaluate.n_shots: {max(recipe.evaluate.n_shots)} shots are asked for but split.max_shots "
            f"is {recipe.split.max_shots}"
        )
    return wrong


def registry_complaints(recipe: Recipe) -> list[str]:
    """Unknown registry names and parameters of a recipe, one line each."""
    from lowshot.data import PRESETS
    from lowshot.registry import BACKBONES, CLASSIFIERS, DATASETS, GENERATORS, LOSSES, Registry

    lines: list[str] = []

    def check(key: str, found: Iterable[str]) -> None:
        lines.extend(f"{key}: {line}" for line in found)

    check("data.dataset", DATASETS.complaints(recipe.data.dataset, recipe.data.options))
    check("data.preset and data.transform", PRESETS.complaints(recipe.data.preset, recipe.data.transform))
    for name, section in recipe.representations.items():
        if section.features or section.checkpoint:
            continue
        try:
            settings = recipe.train_settings(name)
        except ValidationError:
            continue  # named by cross_complaints
        where = f"representations.{name}.train" if section.train else "train"
        check(f"{where}.backbone", BACKBONES.complaints(settings.backbone, settings.backbone_options))
        if settings.loss is not None:
            check(f"{where}.loss", LOSSES.complaints(settings.loss, settings.loss_options))

    def check_part(where: str, registry: Registry, name: str, part: PartSection) -> None:
        check(f"{where}.{registry.kind}", registry.complaints(name, part.params))
        if name in registry:
            for key, params in part.per_representation.items():
                check(f"{where}.per_representation.{key}", registry.complaints(name, params))

    for name, generator in recipe.generators.items():
        check_part(f"generators.{name}", GENERATORS, generator.generator, generator)
    for name, method in recipe.evaluate.methods.items():
        check_part(f"evaluate.methods.{name}", CLASSIFIERS, method.classifier, method)
    return list(dict.fromkeys(lines))


def _keys_beside(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    """The keys that were possible where the last part of ``location`` stands."""
    current: Any = model
    for part in location[:-1]:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[part].annotation
        else:
            values = [a for a in typing.get_args(current) if isinstance(a, type) and issubclass(a, BaseModel)]
            current = values[0] if values else current
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
