"""The published tables agree with themselves, and are compared with those of ours that say they are the same."""

from __future__ import annotations

import csv
import io
import itertools

import pytest

from lowshot.report.published import (
    MEAN,
    RepresentationKind,
    compare_with_published,
    is_same_data,
    publication,
    published_csv,
    published_notes,
    published_tables,
)

N_SHOTS = (1, 2, 5, 10, 20)
SIZES = {"base": 196, "novel": 311, "classes": 1000}


def _by_key() -> dict:
    return {(row.metric, row.kind, row.classifier, row.generator): row for row in publication().rows}


def test_the_six_tables_have_the_same_eleven_rows() -> None:
    rows = publication().rows
    methods = {key[1:] for key in _by_key()}
    assert len(methods) == 11
    metrics = {f"{scope}_top{k}" for scope in ("novel", "base", "all") for k in (1, 5)}
    assert set(_by_key()) == {(metric, *method) for metric, method in itertools.product(metrics, methods)}
    assert len(rows) == 66
    assert all(tuple(row.percent) == (*N_SHOTS, MEAN) for row in rows)
    assert all(0 < value < 100 for row in rows for value in row.percent.values())


def test_all_is_the_mean_over_novel_and_base_images() -> None:
    """Of 311 and 196 classes with 50 test images each: ties three tables together, so a wrong digit would show."""
    rows = _by_key()
    for (metric, *method), row in rows.items():
        if metric.startswith("all"):
            novel, base = (rows[metric.replace("all", scope), *method] for scope in ("novel", "base"))
            for n in N_SHOTS:
                expected = (SIZES["novel"] * novel.percent[n] + SIZES["base"] * base.percent[n]) / 507
                assert row.percent[n] == pytest.approx(expected, abs=0.0101), (metric, method, n)


def test_more_answers_and_more_shots_help_as_they_must() -> None:
    for (metric, *method), row in _by_key().items():
        if metric.endswith("top1"):
            top5 = _by_key()[metric.replace("top1", "top5"), *method]
            assert all(row.percent[n] < top5.percent[n] for n in N_SHOTS)
        if not metric.startswith("base"):
            assert [row.percent[n] for n in N_SHOTS] == sorted(row.percent[n] for n in N_SHOTS)


def test_the_mean_is_that_of_the_row() -> None:
    for row in publication().rows:
        assert row.percent[MEAN] == pytest.approx(sum(row.percent[n] for n in N_SHOTS) / 5)
    assert publication().classes == SIZES
    assert "1606.02819" in publication().source


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ResNet10", RepresentationKind("resnet10", "none")),
        ("ResNet50_sgm", RepresentationKind("resnet50", "sgm")),
        ("ResNet10_batchsgm", RepresentationKind("resnet10", "batch_sgm")),
        ("Batch SGM, ResNet-10", RepresentationKind("resnet10", "batch_sgm")),
        ("ResNet10_l2", RepresentationKind("resnet10", "feature_l2")),
        ("baseline", RepresentationKind(None, "none")),
        ("sgm", RepresentationKind(None, "sgm")),
        ("ResNet101", RepresentationKind(None, None)),
        ("dino", RepresentationKind(None, None)),
    ],
)
def test_a_name_says_what_it_says_and_nothing_is_guessed(name: str, kind: RepresentationKind) -> None:
    assert RepresentationKind.from_name(name) == kind


def test_a_recipe_says_what_it_trains() -> None:
    recipe = {
        "train": {"backbone": "resnet50", "loss": None},
        "representations": {
            "sgm": {},
            "other": {"train": {"loss": "sgm"}},
            "small": {"train": {"backbone": "resnet10"}},
            "ResNet10_l2": {"features": {"train": "a", "test": "b"}},
        },
    }
    assert RepresentationKind.from_recipe(recipe, "sgm") == RepresentationKind("resnet50", "none")
    assert RepresentationKind.from_recipe(recipe, "other") == RepresentationKind("resnet50", "sgm")
    assert RepresentationKind.from_recipe(recipe, "small") == RepresentationKind("resnet10", "none")
    assert RepresentationKind.from_recipe(recipe, "ResNet10_l2") == RepresentationKind("resnet10", "feature_l2")
    assert RepresentationKind.from_recipe({}, "ResNet50") == RepresentationKind("resnet50", "none")


def _ours(n_shots=N_SHOTS, classifier="logistic", generator=None, data=SIZES, accuracy=0.5) -> list[dict]:
    return [
        {
            "representation": "mine",
            "method": "m",
            "classifier": classifier,
            "generator": generator,
            "setup": "test",
            "n_shots": n,
            "experiment": e,
            "data": data,
            "novel_top5": accuracy + 0.01 * e,
        }
        for n in n_shots
        for e in (1, 2, 3)
    ]


def _matched(records: list[dict], kind: RepresentationKind) -> list:
    [rows] = compare_with_published(records, {"mine": kind}, ["novel_top5"]).values()
    return [row for row in rows if row.ours]


def test_a_row_of_ours_meets_the_published_one_of_its_kind() -> None:
    [row] = _matched(_ours(generator="analogies"), RepresentationKind("resnet50", "sgm"))
    assert (row.published.representation, row.published.method) == ("SGM (ResNet-50)", "generation")
    assert row.ours == ("mine", "m")
    assert row.difference(1) == pytest.approx(52 - 45.11)
    assert row.difference(MEAN) == pytest.approx(52 - (45.11 + 58.83 + 72.76 + 79.09 + 82.61) / 5)
    assert row.cells[MEAN].half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-5)  # s = 1 point, three experiments
    [row] = _matched(_ours(classifier="matching_network"), RepresentationKind("resnet10", "none"))
    assert row.published.percent[20] == 71.78


@pytest.mark.parametrize(
    ("records", "kind"),
    [
        (_ours(), RepresentationKind("resnet18", "none")),
        (_ours(), RepresentationKind(None, "sgm")),
        (_ours(classifier="ridge"), RepresentationKind("resnet10", "none")),
        (_ours(generator="calibration"), RepresentationKind("resnet10", "none")),
        (_ours(generator="analogies"), RepresentationKind("resnet10", "feature_l2")),
    ],
)
def test_what_was_not_published_meets_nothing(records: list[dict], kind: RepresentationKind) -> None:
    assert not _matched(records, kind)
    found = compare_with_published(records, {"mine": kind}, ["novel_top5"])
    assert "Nothing of ours" in published_notes(records, found)[-1]
    assert len(published_tables(found)[0].rows) == 11


def test_without_every_published_n_there_is_no_mean() -> None:
    [row] = _matched(_ours(n_shots=(1, 3, 5)), RepresentationKind("resnet10", "none"))
    assert set(row.cells) == {1, 5}
    assert (row.difference(2), row.difference(MEAN)) == (None, None)


def test_other_data_is_said_before_any_number() -> None:
    other = _ours(data={"base": 20, "novel": 30, "classes": 100})
    found = compare_with_published(other, {"mine": RepresentationKind("resnet10", "none")})
    assert is_same_data(other) is False
    assert any(
        note.startswith("OTHER DATA") and "20 base and 30 novel" in note for note in published_notes(other, found)
    )
    assert is_same_data(_ours()) is True
    assert not any("OTHER DATA" in note for note in published_notes(_ours(), found))
    assert is_same_data([{"setup": "test"}]) is None


def test_the_csv_holds_every_published_number_and_our_difference() -> None:
    found = compare_with_published(
        _ours(), {"mine": RepresentationKind("resnet10", "none")}, ["novel_top5", "base_top1"]
    )
    lines = list(csv.DictReader(io.StringIO(published_csv(found))))
    assert len(lines) == 2 * 11 * 6
    for line in lines:
        row = _by_key()[
            line["metric"],
            RepresentationKind(line["backbone"], line["loss"]),
            line["classifier"],
            line["generator"] or None,
        ]
        column = line["n_shots"] if line["n_shots"] == MEAN else int(line["n_shots"])
        assert float(line["published"]) == pytest.approx(row.percent[column], abs=1e-3)
        if line["difference"]:
            assert float(line["mean"]) - row.percent[column] == pytest.approx(float(line["difference"]), abs=1e-3)
    assert sum(bool(line["difference"]) for line in lines) == 6
