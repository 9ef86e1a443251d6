"""The six published recipes say what was published, and each is one command on a folder of ImageNet's shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lowshot.cli import run
from lowshot.recipe import load_recipe
from tests.compat import fixture

# As the original's six shell scripts have them: auxiliary loss and weight; images a step and warm-up epochs; learning
# rate and weight decay of the low-shot phase; learning rate of the generator; the same two and the number of examples
# per class with generation.
PUBLISHED = {
    "imagenet_resnet10": (None, 0, 256, 0, (0.1, 0.01), 0.1, (0.1, 0.001, 20)),
    "imagenet_resnet10_sgm": ("sgm", 0.02, 256, 0, (1, 0.001), 1, (1, 0.001, 5)),
    "imagenet_resnet10_batchsgm": ("batch_sgm", 5, 256, 0, (1, 0.001), None, None),
    "imagenet_resnet10_l2": ("feature_l2", 0.03, 256, 0, (0.1, 0.001), None, None),
    "imagenet_resnet50": (None, 0, 100, 1, (0.1, 0.01), 0.1, (0.1, 0.01, 20)),
    "imagenet_resnet50_sgm": ("sgm", 0.005, 100, 1, (0.1, 0.001), 1, (0.1, 0.001, 5)),
}
RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_is_the_published_one(name: str) -> None:
    loss, weight, batch, warmup, plain, generator_lr, generation = PUBLISHED[name]
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    (representation,) = recipe.representations
    train = recipe.train_settings(representation)
    assert train.backbone == name.split("_")[1]
    assert (train.loss, train.loss_weight, train.batch_size, train.warmup_epochs) == (loss, weight, batch, warmup)
    assert (train.lr, train.momentum, train.dampening, train.weight_decay) == (0.1, 0.9, 0, 1e-4)
    assert (train.schedule, train.step_size, train.lr_decay, train.epochs) == ("step", 30, 0.1, 90)
    assert train.warmup_lr == 0.01
    assert recipe.data.preset == "imagenet"
    assert (recipe.split.base, recipe.split.novel, recipe.split.experiments) == ((193, 196), (300, 311), 5)
    assert recipe.evaluate.n_shots == (1, 2, 5, 10, 20)
    assert recipe.evaluate.setup == "test"

    methods = {method.n_per_class: method for method in recipe.evaluate.methods.values()}
    expected = {0: plain} | ({generation[2]: generation[:2]} if generation else {})
    assert methods.keys() == expected.keys()
    for n_per_class, (lr, wd) in expected.items():
        method = methods[n_per_class]
        assert method.classifier == "logistic"
        steps = {"n_steps": 10_000, "batch_size": 1000}
        assert method.params_for(representation) == {"lr": lr, "weight_decay": wd, **steps}
    if generator_lr is None:
        assert not recipe.generators
        return
    (generator,) = recipe.generators.values()
    assert generator.generator == "analogies"
    assert generator.params_for(representation) == {"n_clusters": 100, "n_steps": 120_000, "lr": generator_lr}


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixture.make(tmp_path_factory.mktemp("imagenet"))


def command(name: str) -> list[str]:
    sizes = [f"split.{kind}=[{a},{b}]" for kind, (a, b) in fixture.SIZES.items()]
    shots = f"evaluate.n_shots={list(fixture.N_SHOTS)}"
    return ["run", str(RECIPES / f"{name}.yaml"), "data.root=imagenet", *sizes, shots]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_is_one_command(
    name: str, imagenet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(imagenet)
    assert run([*command(name), "split.file=label_idx.json", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert all(stage in said.out + said.err for stage in ("split", "train", "extract", "evaluate", "report"))
    assert not (imagenet / "runs").exists()


def theirs(name: str) -> list[str]:
    """The arguments that a recipe's header gives for the original's lists, classes and experiments."""
    lines = (RECIPES / f"{name}.yaml").read_text().partition("# Theirs")[2].partition("# Costs")[0].splitlines()[1:]
    words = " ".join(line.lstrip("# ") for line in lines).replace("/path/to/imagenet", "imagenet").split()
    return [*[word for word in command(name) if not word.startswith(("data.root", "run"))], *words]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_header_says_how_to_run_on_the_originals_lists_classes_and_experiments(
    name: str, imagenet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(imagenet)
    assert run(["split", *theirs(name), "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "split" / "splitfile_2.json").read_text())
    assert found["shots"] == json.loads((imagenet / "experiment_cfgs" / "splitfile_2.json").read_text())
    split, original = (
        json.loads(path.read_text()) for path in (tmp_path / "split/label_idx.json", Path("label_idx.json"))
    )
    assert split == original


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("data.root=no.json", "image list no.json does not exist"),
        ("data.options.test_list=no.json", "image list no.json does not exist"),
        ("data.options.image_root=nowhere", "image folder nowhere does not exist"),
        ("split.file=no.json", "class split no.json does not exist"),
        ("split.experiment_files=no_{:d}.json", "experiment no_1.json does not exist"),
    ],
)
def test_a_file_of_the_original_that_is_missing_is_named(
    missing: str,
    message: str,
    imagenet: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(imagenet)
    given = [*theirs("imagenet_resnet50_sgm"), missing]
    for arguments in (["validate", *given], ["run", *given, "--output", str(tmp_path)]):
        assert run(arguments) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_the_originals_split_and_experiments_must_belong_to_the_images(
    imagenet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The experiments count rows of the original's list of images, which are in another order than the folders."""
    monkeypatch.chdir(imagenet)
    files = ["split.file=label_idx.json", "split.experiment_files=experiment_cfgs/splitfile_{:d}.json"]
    _, *overrides = command("imagenet_resnet10")
    assert run(["split", *overrides, *files]) == 2
    assert "experiments were made for other data" in " ".join(capsys.readouterr().err.split())
    assert not (imagenet / "runs" / "imagenet_resnet10" / "split").exists()
    assert run(["split", *overrides, *files, "split.base=[193,196]"]) == 2
    assert "has 2 + 8 base classes, but split.base says 193 + 196" in " ".join(capsys.readouterr().err.split())
