"""The sections of a recipe on its methods, their tuning and their measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from lowshot.benchmark.metrics import informative_k
from lowshot.recipe.section import PartSection, Section
from lowshot.recipe.texts import Name, Shots, is_name


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
