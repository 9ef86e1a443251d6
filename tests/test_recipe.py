"""Recipes: reading, overriding, and naming every mistake at once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from lowshot.errors import InputError
from lowshot.recipe import Recipe, embedded_recipes, load_recipe

MINIMAL = {"name": "tiny", "data": {"dataset": "glyphs"}, "representations": {"baseline": {}}}


def _write(folder: Path, **sections: object) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **sections}))
    return path


def test_a_minimal_recipe_has_sensible_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(_write(tmp_path))
    assert recipe.evaluate.n_shots == (1, 2, 5, 10, 20)
    assert recipe.split.experiments == 5
    assert recipe.train_settings("baseline").loss is None
    assert recipe.folder == Path("runs/tiny")


def test_overrides_win_and_are_typed(tmp_path: Path) -> None:
    recipe = load_recipe(
        _write(tmp_path), ["train.epochs=3", "evaluate.n_shots=[1,5]", "data.root=my photos", "seed=7"]
    )
    assert recipe.train.epochs == 3
    assert recipe.evaluate.n_shots == (1, 5)
    assert recipe.data.root == Path("my photos")
    assert recipe.seed == 7


def test_a_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    recipe = load_recipe("cifar100", ["train.epochs=2"])
    path = tmp_path / "resolved.yaml"
    path.write_text(recipe.to_yaml())
    again = load_recipe(path)
    assert again.model_dump() == recipe.model_dump()
    assert [again.train_settings(r) for r in again.representations] == [
        recipe.train_settings(r) for r in recipe.representations
    ]


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        trian={"epochs": 1},
        train={"epohcs": 1, "lr": "fast"},
        split={"experiments": 0},
        evaluate={"methods": {"a": {"clasifier": "x"}}},
    )
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    text = str(caught.value)
    assert str(path) in text
    for line in (
        "trian: unknown key. Did you mean 'train'",
        "train.epohcs: unknown key. Did you mean 'epochs'",
        "train.lr: input should be a valid number, unable to parse string as a number, got 'fast'",
        "split.experiments: input should be greater than or equal to 1, got 0",
        "evaluate.methods.a.clasifier: unknown key. Did you mean 'classifier'",
    ):
        assert line in text, text


def test_unknown_names_and_parameters_are_named_at_once(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        data={"dataset": "glyfs"},
        train={"backbone": "resnet11"},
        representations={"a": {"train": {"loss": "sgn", "loss_weight": 1}}},
        evaluate={"methods": {"m": {"classifier": "logistic", "params": {"learning_rate": 1}}}},
    )
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    for words in ("'glyphs'", "'resnet10'", "representations.a.train.loss", "'sgm'", "no parameter 'learning_rate'"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"representations": {}}, "representations: "),
        (
            {"representations": {"a": {"checkpoint": "x.ckpt", "train": {"epochs": 1}}}},
            "one of train, backbone, checkpoint, network and features",
        ),
        ({"representations": {"a": {"features": {"train": "x.hdf5"}}}}, "features needs both train and test"),
        (
            {"representations": {"a": {"train": {"epochz": 1}}}},
            r"representations\.a\.train\.epochz: unknown key\. Did you mean 'epochs'",
        ),
        ({"evaluate": {"n_shots": [1, 50]}}, "50 shots are asked for but split.max_shots is 20"),
        ({"evaluate": {"n_shots": [0]}}, "different positive numbers"),
        ({"evaluate": {"methods": {"m": {"per_representation": {"basline": {}}}}}}, "Did you mean 'baseline'"),
        ({"name": "../x"}, "name: "),
        ({"plugins": ["missing.py"]}, r"missing\.py does not exist"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path, sections: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe(_write(tmp_path, **sections))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML"),
        ("- a\n- b", "must be a mapping"),
        ("", "name: is missing"),
        ("a: 1\na: 2", "tiny.yaml"),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("name: ${nothing.here}", "tiny.yaml"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_a_missing_recipe_and_a_malformed_override_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'glyphs'"):
        load_recipe("glyph")
    with pytest.raises(InputError, match=r"'train\.epochs' must have the form"):
        load_recipe(_write(tmp_path), ["train.epochs"])


@pytest.mark.parametrize("path", embedded_recipes(), ids=lambda path: path.stem)
def test_every_embedded_recipe_is_sound_and_says_what_it_is(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    header = path.read_text().split("\nname:")[0]
    assert all(line.startswith("#") for line in header.splitlines() if line)
    for word in ("Shows", "Run", "Costs"):
        assert word in header


def test_the_published_imagenet_recipes_hold_the_published_numbers() -> None:
    # shared facts of the original program: auxiliary loss and weight, batch, warm-up, low-shot lr and weight decay
    published = {
        "imagenet_resnet10": (None, 0, 256, 0, 0.1, 0.01),
        "imagenet_resnet10_sgm": ("sgm", 0.02, 256, 0, 1, 0.001),
        "imagenet_resnet10_batchsgm": ("batch_sgm", 5, 256, 0, 1, 0.001),
        "imagenet_resnet10_l2": ("feature_l2", 0.03, 256, 0, 0.1, 0.001),
        "imagenet_resnet50": (None, 0, 100, 1, 0.1, 0.01),
        "imagenet_resnet50_sgm": ("sgm", 0.005, 100, 1, 0.1, 0.001),
    }
    assert {path.stem for path in embedded_recipes() if path.stem.startswith("imagenet")} == set(published)
    for name, row in published.items():
        recipe = load_recipe(name)
        (representation,) = recipe.representations
        settings = recipe.train_settings(representation)
        params = recipe.evaluate.methods["logistic"].params_for(representation)
        weight = settings.loss_weight if settings.loss else 0
        assert row == (
            settings.loss,
            weight,
            settings.batch_size,
            settings.warmup_epochs,
            params["lr"],
            params["weight_decay"],
        )
        assert (settings.lr, settings.momentum, settings.weight_decay, settings.epochs) == (0.1, 0.9, 1e-4, 90)
        assert (settings.schedule, settings.step_size, settings.lr_decay, settings.dampening) == ("step", 30, 0.1, 0)
        assert (recipe.split.base, recipe.split.novel) == ((193, 196), (300, 311))


def test_the_published_generation_settings_are_there() -> None:
    # generator lr; then lr, weight decay and max_per_label of the low-shot phase with generation
    published = {
        "imagenet_resnet10": (0.1, 0.1, 0.001, 20),
        "imagenet_resnet10_sgm": (1, 1, 0.001, 5),
        "imagenet_resnet50": (0.1, 0.1, 0.01, 20),
        "imagenet_resnet50_sgm": (1, 0.1, 0.001, 5),
    }
    for name, row in published.items():
        recipe = load_recipe(name)
        method, generator = recipe.evaluate.methods["generation"], recipe.generators["analogies"]
        assert row == (generator.params["lr"], method.params["lr"], method.params["weight_decay"], method.n_per_class)
        assert (generator.params["n_clusters"], generator.params["n_steps"]) == (100, 120_000)


def test_the_order_of_keys_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    tree = Recipe.model_validate({**MINIMAL, "train": {"epochs": 2, "lr": 0.5}})
    turned = Recipe.model_validate({"train": {"lr": 0.5, "epochs": 2}, **MINIMAL})
    assert tree.fingerprint == turned.fingerprint
    assert tree.fingerprint != Recipe.model_validate({**MINIMAL, "seed": 1}).fingerprint
    assert tree.fingerprint == Recipe.model_validate({**tree.model_dump(), "output": "elsewhere"}).fingerprint


def test_reading_a_recipe_and_the_command_line_import_no_torch() -> None:
    code = "import sys, lowshot.cli, lowshot.recipe, lowshot.files, lowshot.registry; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


PRODUCT = """
    name: product
    representations: {baseline: {}}
    generators: {analogies: {generator: analogies}, calibration: {generator: calibration}}
    evaluate:
      methods:
        linear: {label: Linear, params: {lr: 0.1}, grid: {lr: [0.1, 1]}}
        ridge: {classifier: ridge}
        ridge_calibration: {classifier: ridge, generator: calibration, n_per_class: 7}
      generations:
        analogies: {generator: analogies, n_per_class: 20, grid: {n_per_class: [5, 20]}}
        calibration: {label: drawn, generator: calibration, n_per_class: 10}
"""


def test_generations_multiply_methods_and_leave_what_is_spelled_out(tmp_path: Path) -> None:
    path = tmp_path / "product.yaml"
    path.write_text(textwrap.dedent(PRODUCT))
    recipe = load_recipe(path)
    methods = recipe.evaluate.methods
    assert list(methods) == [
        *("linear", "linear_analogies", "linear_calibration"),
        *("ridge", "ridge_analogies", "ridge_calibration"),
    ]
    assert methods["linear_analogies"].label == "Linear + analogies"
    assert methods["linear_calibration"].label == "Linear + drawn"
    assert methods["linear_analogies"].grid == {"lr": [0.1, 1], "n_per_class": [5, 20]}
    assert methods["ridge_analogies"].grid == {"n_per_class": [5, 20]}
    assert (methods["ridge_calibration"].n_per_class, methods["ridge"].generator) == (7, None)
    path.write_text(recipe.to_yaml())
    assert load_recipe(path) == recipe  # the resolved recipe is that recipe, and not multiplied again


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("evaluate.generations.analogies.gird=5", r"evaluate\.generations\.analogies\.gird: unknown key.*grid"),
        ("evaluate.generations.calibration.n_per_class=0", r"evaluate\.generations\.calibration\.n_per_class: .*1"),
        ("evaluate.generations.calibration.generator=none_such", r"linear_calibration\.generator: 'none_such'"),
        ("evaluate.methods.linear.grid=default", r"generations\.analogies\.grid joins grids that are written out"),
        ("evaluate.generations=[1]", r"evaluate\.generations is of another kind"),
    ],
)
def test_mistakes_in_generations_are_named(tmp_path: Path, override: str, words: str) -> None:
    path = tmp_path / "product.yaml"
    path.write_text(textwrap.dedent(PRODUCT))
    with pytest.raises(InputError, match=words):
        load_recipe(path, [override])


@pytest.mark.parametrize("value", [-1, 100_000, 1.5, True, "many"])
def test_a_number_of_loader_processes_is_one_that_a_machine_can_have(tmp_path: Path, value: object) -> None:
    with pytest.raises(
        InputError, match=r"data\.workers: expected auto, or a number of processes from 0 to 1024, got "
    ):
        load_recipe(_write(tmp_path, data={"dataset": "glyphs", "workers": value}))
    assert load_recipe(_write(tmp_path, data={"dataset": "glyphs", "workers": 0})).data.workers == 0
