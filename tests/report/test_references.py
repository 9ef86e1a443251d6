"""references.bib holds the papers of what a recipe uses, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from lowshot.citations import entries_of
from lowshot.features import FeatureStore
from lowshot.recipe import embedded_recipes, load_recipe
from lowshot.registry import CLASSIFIERS, GENERATORS
from lowshot.report import write_report
from lowshot.report.references import checkpoint_backbones, references, used_parts

from .conftest import report_input
from .reading import Page

RECIPE = {
    "data": {"dataset": "cifar100"},
    "train": {"backbone": "resnet10", "loss": None, "objective": [{"mixup": {}}]},
    "representations": {
        "plain": {"train": {}},
        "cut": {"train": {"loss": "sgm", "objective": ["cutmix"], "backbone": "timm:resnet18"}},
        "given": {"features": {"train": "a", "test": "b"}},
    },
    "generators": {"mine": {"generator": "calibration"}, "idle": {"generator": "delta_encoder"}},
    "evaluate": {"methods": {"a": {"classifier": "ridge"}, "b": {"classifier": "teen", "generator": "mine"}}},
}


def keys(*recipes, records=()) -> list[str]:
    return list(entries_of(references(recipes, records)))


def test_exactly_the_papers_of_the_used_parts_are_there():
    assert set(keys(RECIPE)) == {
        "hariharan2017lowshot",  # the benchmark
        *("krizhevsky2009learning", "he2016deep", "zhang2018mixup", "wightman2019timm", "yun2019cutmix"),
        *("bertinetto2019closedform", "wang2023teen", "yang2021freelunch"),
    }
    assert keys(RECIPE)[0] == "hariharan2017lowshot"


def test_features_from_elsewhere_bring_no_network_and_no_data_set():
    given = RECIPE | {"representations": {"given": RECIPE["representations"]["given"]}}
    assert set(keys(given)) == {
        *("hariharan2017lowshot", "bertinetto2019closedform", "wang2023teen", "yang2021freelunch")
    }


def test_the_network_of_a_checkpoint_is_found_by_its_features(tmp_path):
    recipe = {"representations": {"a": {"checkpoint": "a.ckpt"}, "b": {"checkpoint": "b.ckpt"}, "c": {"train": {}}}}
    assert checkpoint_backbones(recipe, tmp_path) == []
    for name, backbone in {"a": "resnet10", "b": "timm:resnet18", "c": "torchvision:resnet18"}.items():
        folder = tmp_path / "features" / name
        folder.mkdir(parents=True)
        with FeatureStore.create(folder / "train.hdf5", dim=2, capacity=1, backbone=backbone) as out:
            out.append(np.zeros((1, 2), np.float32), np.zeros(1, np.int64))
    found = checkpoint_backbones(recipe, tmp_path)
    assert found == ["resnet10", "timm:resnet18"]
    entries = list(entries_of(references([recipe], backbones=found)))
    assert {"he2016deep", "wightman2019timm"} <= set(entries)
    (tmp_path / "features" / "a" / "train.hdf5").write_bytes(b"damaged")
    assert checkpoint_backbones(recipe, tmp_path) == ["timm:resnet18"]
    assert "he2016deep" not in entries_of(references([recipe], backbones=["of a plug-in not here"]))


def test_a_folder_of_images_names_no_data_set():
    assert "krizhevsky2009learning" not in keys(RECIPE | {"data": {"dataset": "auto", "root": "cifar100.zip"}})


def test_episodes_bring_their_paper():
    assert "vinyals2016matching" in keys(RECIPE | {"episodes": {"n_way": 5}})
    assert "vinyals2016matching" not in keys(RECIPE)


def test_results_without_a_recipe_bring_what_they_name():
    records = [{"classifier": "logistic", "generator": "delta_encoder"}, {"classifier": "of a plug-in not here"}, {}]
    assert keys(records=records) == ["hariharan2017lowshot", "schwartz2018delta"]
    assert keys({}) == ["hariharan2017lowshot"]


@pytest.mark.parametrize("name", [path.stem for path in embedded_recipes()])
def test_all_parts_of_our_recipes_are_found(name):
    recipe = load_recipe(name)
    used = {(registry.kind, part) for registry, part in used_parts(recipe.model_dump(mode="json"))}
    for method in recipe.evaluate.methods.values():
        assert (CLASSIFIERS.kind, method.classifier) in used
        if method.generator is not None:
            assert (GENERATORS.kind, recipe.generators[method.generator].generator) in used
    for key, section in recipe.representations.items():
        if not any((section.backbone, section.features, section.checkpoint, section.network)):
            settings = recipe.train_settings(key)
            assert ("backbone", settings.backbone) in used
            assert {("objective", one) for part in settings.objective for one in part} <= used


def test_the_page_links_the_file_where_there_is_one(report, tmp_path):
    page = write_report(tmp_path, **report_input(examples=[], training_logs={}, references=references([RECIPE])))
    hrefs = [attributes.get("href") for tag, attributes in Page(page.read_text("utf-8")).tags if tag == "a"]
    assert "references.bib" in hrefs
    assert (tmp_path / "references.bib").read_text("utf-8") == references([RECIPE])
    assert "references.bib" not in (report / "report.html").read_text("utf-8")
