"""The documentation is true: tables are up to date, examples run, links and dotted names lead somewhere."""

from __future__ import annotations

import ast
import os
import pkgutil
import re
import runpy
import shlex
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from lowshot.citations import entries_of
from lowshot.cli import run
from lowshot.data import ClassSplit, Experiments, build_dataset
from lowshot.features import FeatureStore
from lowshot.pipeline import run_recipe, validate_recipe
from lowshot.pipeline.demo_pictures import write_pictures
from lowshot.plugins import import_plugin
from lowshot.recipe import Recipe, load_recipe
from lowshot.recipe.keys import keys_markdown
from lowshot.recogniser import Recogniser
from lowshot.registry import BACKBONES, CLASSIFIERS, DATASETS, GENERATORS, LOSSES, OBJECTIVES, REGISTRIES
from lowshot.representation.objectives import Batch
from lowshot.testing import check_classifier
from tests.recogniser.conftest import photo
from tests.server.processes import running

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_the_table_of_recipe_keys_is_todays() -> None:
    assert (ROOT / "docs" / "recipe.md").read_text().endswith(keys_markdown())


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
            assert not anchor or anchor in _anchors(page.parent / target if target else page), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_dotted_names_in_the_pages_are_modules_classes_or_functions(page: Path) -> None:
    names = set(re.findall(r"\blowshot(?:\.[A-Za-z_]\w*)+", page.read_text()))
    names -= {registry.group for registry in REGISTRIES.values()}
    for block in _blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lowshot."):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    for name in sorted(names):
        if name.rpartition(".")[2] != "NAME":  # a placeholder
            pkgutil.resolve_name(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_recipes_in_the_pages_are_recipes(page: Path) -> None:
    for block in _blocks(page, "yaml"):
        Recipe.model_validate(yaml.safe_load(block))


def test_the_examples_of_the_features_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "features.md"
    names: dict[str, object] = {}
    for block in _blocks(page, "python"):
        exec(block, names)
    printed = capsys.readouterr().out
    assert "(600, 64) [0 0 0] class 0 train/0.jpg mine" in printed
    assert "<FeatureStore train.npz: 600 × 64>" in printed
    for number, block in enumerate(_blocks(page, "yaml")):
        (tmp_path / f"{number}.yaml").write_text(block)
        assert "is sound" in validate_recipe(f"{number}.yaml")
        run_recipe(f"{number}.yaml", output=tmp_path / f"out{number}")
        assert (tmp_path / f"out{number}" / "report" / "report.html").exists()


def test_the_examples_of_the_classifiers_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in _blocks(ROOT / "docs" / "classifiers.md", "python"):
        exec(block, names)  # the page says that they run one after the other
    printed = capsys.readouterr().out
    assert "[0 1 2 3 4 5 6 7 8 9]" in printed
    (balanced,), (unbalanced,) = (re.findall(rf"^{word} (\S+)", printed, re.MULTILINE) for word in ("auto", "None"))
    assert float(balanced) > 0.7
    assert float(unbalanced) < 0.1  # "hardly any"


def test_the_example_of_the_export_page_answers_as_lowshot_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shades = {name: [photo(colour, seed) for seed in range(3)] for name, colour in (("robin", "red"), ("wren", "grey"))}
    birds = Recogniser.create("birds")
    birds.teach(shades)
    birds.export_onnx("birds.onnx")
    for name, colour in (("robin", "red"), ("wren", "grey")):
        photo(colour, 9, 300).resize((400, 300)).save(f"{name}.jpg")
    answers = birds.predict(["robin.jpg", "wren.jpg"])
    capsys.readouterr()
    (block,) = _blocks(ROOT / "docs" / "export.md", "python")
    exec(block, {})
    expected = [f"{one.file}: {'unknown' if one.unknown else one.class_} {one.probability:.2f}" for one in answers]
    assert capsys.readouterr().out.splitlines() == expected


def _commands(page: Path) -> list[list[str]]:
    """The indented commands of a page."""
    return [shlex.split(line) for line in re.findall(r"^    (lowshot .*)$", page.read_text(), re.MULTILINE)]


def test_the_commands_of_the_photos_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "photos.md"
    for sign, bird in {"dollar": "robin", "psi": "wren", "lao": "finch", "zhe": "owl"}.items():
        write_pictures("drawn", [sign], 5)
        os.renames(f"drawn/{sign}", "owl" if bird == "owl" else f"photos/{bird}")
    (tmp_path / "new").mkdir()
    (tmp_path / "further").mkdir()
    for number, (sign, folder, first) in enumerate(
        [
            ("dollar", "new", 40),
            ("zhe", "new", 40),
            ("psi", "new", 40),
            ("dollar", "further", 20),
            ("psi", "further", 21),
        ]
    ):
        write_pictures("drawn", [sign], 1, first=first)
        name = f"{number:02d}.png" if folder == "new" else f"{first}.png"
        os.rename(f"drawn/{sign}/{first:02d}.png", f"{folder}/{name}")
    (listed,) = re.findall(r"^```\n(path,class\n.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    Path("more.csv").write_text(listed)
    for command in _commands(page):
        assert run(command[1:]) == 0, (command, capsys.readouterr())
    printed = capsys.readouterr().out
    assert "birds: 15 photos taught, 3 new classes" in printed
    assert "new/00.png: robin" in printed
    assert "new/01.png: owl" in printed
    assert "undone: removed finch" in printed
    assert "new/00.png: redbreast" in printed  # of the exported file
    assert Path("answers.csv").read_text().startswith("file,class,probability,runner_up,runner_up_probability,unknown")
    (block,) = _blocks(page, "python")
    exec(block, {})
    assert "new/00.png redbreast" in capsys.readouterr().out


def test_the_page_on_photos_in_five_minutes_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "start" / "photos.md"
    (block,) = _blocks(page, "python")
    exec(block, {})
    for command in _commands(page):
        assert run(command[1:]) == 0, (command, capsys.readouterr())
    printed = capsys.readouterr().out
    assert "signs: 15 photos taught, 3 new classes; it knows 3 classes" in printed
    assert "it knows 4 classes" in printed


def test_the_page_on_a_table_in_five_minutes_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "start" / "table.md"
    features, method = _blocks(page, "python")
    exec(features, {})
    (recipe,) = _blocks(page, "yaml")
    Path("mine.yaml").write_text(recipe)
    Path("first.py").write_text(method)
    demo, *commands = _commands(page)
    assert demo == ["lowshot", "demo"]  # tested elsewhere
    for command in commands:
        serial = ["--engine", "serial"] * (command[1] == "run")  # no further processes for a table that takes a second
        assert run([*command[1:], *serial]) == 0, (command, capsys.readouterr())
    assert "shot" in capsys.readouterr().out
    records = pd.read_json("runs/mine/results.jsonl", lines=True)
    assert set(records.method) == {"mean", "cosine", "ridge", "shot"}
    assert Path("runs/mine/report/report.html").exists()


def test_the_commands_of_the_readmes_first_screen_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for sign, bird in {"dollar": "robin", "psi": "wren", "lao": "finch", "two": "heron"}.items():
        write_pictures("drawn", [sign], 5)
        os.renames(f"drawn/{sign}", f"photos/{bird}")
    write_pictures("drawn", ["zhe"], 3)
    os.rename("drawn/zhe", "owl")
    write_pictures("new", ["psi"], 1, first=40)
    features, _ = _blocks(ROOT / "docs" / "start" / "table.md", "python")
    exec(features, {})
    (recipe,) = _blocks(ROOT / "docs" / "start" / "table.md", "yaml")
    Path("mine.yaml").write_text(recipe)
    teach, benchmark = _blocks(ROOT / "README.md", "sh")
    for line in (teach + benchmark).splitlines():
        command = shlex.split(line, comments=True)
        if command[1] == "serve":  # until it is ended, and on a free port
            with running(*(Path(name).resolve() for name in command[2:]), program="lowshot") as server:
                assert "<title>" in server.client().get("/").text
                assert server.end()[0] == 0
            continue
        if command[1] == "run":  # changed: fewer draws of the photos, and no further processes
            command += ["--engine", "serial", *["split.experiments=2"] * ("photos" in command)]
        assert run(command[1:]) == 0, (line, capsys.readouterr())
    printed = capsys.readouterr().out
    assert "birds: 20 photos taught, 4 new classes" in printed
    assert "psi/40.png: wren" in printed
    assert Path("birds.onnx").exists()
    assert list(Path("runs/both").rglob("report.html"))


def test_the_figures_of_the_explanations_are_drawn_by_the_script_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ROOT / "docs" / "explanations"
    script = runpy.run_path(str(folder / "figures.py"))
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(12), 12)
    for part in ("train", "test"):
        with FeatureStore.create(tmp_path / f"{part}.h5", dim=8, class_names=[f"class {c}" for c in range(12)]) as out:
            out.append(np.eye(12, 8)[labels] + 0.4 * rng.normal(size=(len(labels), 8)), labels)
    train, test = (FeatureStore.open(tmp_path / f"{part}.h5") for part in ("train", "test"))
    split = ClassSplit.random(train.class_names, base=(3, 3), novel=(3, 3), seed=0)
    problem = script["Problem"](train, test, split, Experiments.random(train.labels, None, None, 2, 5))
    monkeypatch.setattr(script["Problem"], "make", lambda *arguments: problem)
    script["main"](["--out", str(tmp_path / "figures")])
    drawn = {file.name for file in (tmp_path / "figures").iterdir()}
    assert drawn == {file.name for file in folder.glob("*.svg")}
    assert "chosen on val" in capsys.readouterr().out


def test_the_ranks_of_scaling_can_share_the_batches_of_its_recipes() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text()
    named = re.findall(r"(?:-m|srun) lowshot run (\w+)", page)
    assert len(named) == 2
    for name in named:
        recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml")
        assert all(recipe.train_settings(one).batch_size % 8 == 0 for one in recipe.representations)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every example of CONTRIBUTING.md, imported as the plug-in file it says it is."""
    folder = tmp_path_factory.mktemp("plugins")
    for number, block in enumerate(_blocks(ROOT / "CONTRIBUTING.md", "python")):
        file = folder / f"contributed_{number}.py"
        file.write_text(textwrap.dedent(block))
        import_plugin(file)


@pytest.mark.usefixtures("parts")
def test_the_contributed_loss_has_a_gradient() -> None:
    scores = torch.randn(4, 3, requires_grad=True)
    LOSSES.build("entropy")(torch.randn(4, 2), scores, torch.tensor([0, 1, 2, 0]), None).backward()
    assert scores.grad is not None
    assert scores.grad.abs().sum() > 0


@pytest.mark.usefixtures("parts")
def test_the_contributed_objective_changes_the_images_and_nothing_else() -> None:
    batch = Batch(torch.zeros(2, 3, 4, 4), torch.tensor([0, 1]), 3)
    OBJECTIVES.build("noise", deviation=0.5).change(batch)
    assert 0.3 < float(batch.images.std()) < 0.7
    assert torch.equal(batch.targets, batch.labels)


@pytest.mark.usefixtures("parts")
def test_the_contributed_classifier_takes_part_in_the_protocol() -> None:
    base = np.array([[0.0, 0.0], [0.2, 0.0], [4.0, 4.0], [4.2, 4.0]])
    known = CLASSIFIERS.build("median").fit_base(base, [0, 0, 1, 1])
    assert known.predict([[0.1, 0.1]]).tolist() == [0]
    assert known.fit_novel([[9.0, 0.0]], [7]).predict([[8.0, 0.0], [4.0, 5.0]]).tolist() == [7, 1]


@pytest.mark.usefixtures("parts")
def test_the_contributed_generator_adds_what_is_missing() -> None:
    rng = np.random.default_rng(0)
    generator = GENERATORS.build("jitter").fit(rng.random((20, 3), np.float32), np.repeat([0, 1], 10))
    features, labels = generator.generate(np.ones((2, 3), np.float32), [5, 6], n_per_class=3)
    assert labels.tolist() == [5, 6, 5, 5, 6, 6]
    assert (features[:2] == 1).all()
    assert not (features[2:] == 1).all()


@pytest.mark.usefixtures("parts")
def test_the_contributed_backbone_makes_scores_and_features() -> None:
    scores, features = BACKBONES.build("tiny", num_classes=5, width=8)(torch.zeros(2, 3, 16, 16))
    assert scores.shape == (2, 5)
    assert features.shape == (2, 16)


@pytest.mark.usefixtures("parts")
def test_the_contributed_data_set_gives_images() -> None:
    assert "shades" in DATASETS
    images = build_dataset("shades", "train", classes=3)
    assert images.load(31).getpixel((0, 0)) == (85, 85, 85)


@pytest.mark.usefixtures("parts")
def test_the_contributed_part_that_cites_its_paper_is_sound_and_cited() -> None:
    check_classifier("root_mean")
    assert list(entries_of(CLASSIFIERS.entry("root_mean").bibtex)) == ["doe2026roots"]


def test_the_example_of_the_pretrained_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for block in _blocks(ROOT / "docs" / "pretrained.md", "python"):
        exec(block, {})
    assert "torch.Size([1, 1280]) package (1000, 1280) ['tench', 'goldfish']" in capsys.readouterr().out
