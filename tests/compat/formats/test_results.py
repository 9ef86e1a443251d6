"""Result files of the original as records and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowshot.benchmark.results import ResultStore, write_records
from lowshot.compat.formats.results import Run, from_records, read_run, read_runs, to_records, write_run
from lowshot.errors import InputError
from lowshot.report.table_data import build_tables

fractions = st.floats(0, 1)
rates = st.one_of(st.sampled_from([0.1, 1.0, 0.01, 0.001]), st.floats(1e-4, 100))
names = st.text(st.characters(categories=["Lu", "Ll", "Nd"], include_characters="_-."), min_size=1, max_size=12)
linear_runs = st.builds(
    Run,
    names,
    st.integers(1, 5),
    st.sampled_from([1, 2, 5, 10, 20]),
    st.tuples(*[fractions] * 6),
    rates,
    rates,
    st.sampled_from([0, 5, 20]),
)
matching_runs = st.builds(Run, names, st.integers(1, 5), st.sampled_from([1, 20]), st.tuples(*[fractions] * 6))
runs = st.one_of(linear_runs, matching_runs)


@settings(max_examples=60, deadline=None)
@given(runs)
def test_a_run_comes_back_from_its_file(tmp_path_factory, run):
    path = write_run(tmp_path_factory.mktemp("results"), run)
    assert read_run(path) == run


def test_names_and_contents_are_the_originals(tmp_path):
    accuracies = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    path = write_run(tmp_path, Run("ResNet10_sgm", 3, 20, accuracies, 1.0, 0.001, 5))
    assert path.name == "ResNet10_sgm_lr_1.000_wd_0.001_expid_3_lowshotn_20_maxgen_5.json"
    found = json.loads(path.read_text())
    assert found == {"lr": 1.0, "wd": 0.001, "expid": 3, "lowshotn": 20, "accs": list(accuracies)}
    path = write_run(tmp_path, Run("ResNet10", 1, 2, accuracies))
    assert path.name == "MN_ResNet10_expid_1_lowshotn_2.json"
    assert json.loads(path.read_text()) == {"expid": 1, "lowshotn": 2, "accs": list(accuracies)}


@settings(max_examples=40, deadline=None)
@given(st.lists(runs, min_size=1, max_size=12, unique_by=lambda run: run.file_name), st.sampled_from(["val", "test"]))
def test_records_become_the_same_runs_again(tmp_path_factory, some, setup):
    path = tmp_path_factory.mktemp("records") / "results.jsonl"
    write_records(path, to_records(some, setup))
    back, notes = from_records(ResultStore(path).records, setup)
    assert (sorted(back, key=str), notes) == (sorted(some, key=str), [])
    assert from_records(ResultStore(path).records, "val" if setup == "test" else "test") == ([], [])


def test_the_report_averages_them_over_the_experiments():
    some = [Run("ResNet10", e, n, (0.1 * e,) * 6, 0.1, 0.01, 0) for e in (1, 2, 3) for n in (1, 5)]
    table = next(table for table in build_tables(to_records(some)) if table.metric == "all_top5")
    assert [cell.mean for cell in table.rows[0].cells] == pytest.approx([20, 20])
    assert table.rows[0].method == "logistic lr=0.1 wd=0.01"


def record(**changes):
    (found,) = to_records([Run("rep", 1, 2, (0.5,) * 6, 0.1, 0.001, 0)])
    return {**found, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"classifier": "ridge", "params": {}},
        {"params": {"solver": "lbfgs", "lr": 0.1, "weight_decay": 0.1}},
        {"classifier": "matching_network", "n_per_class": 5},
    ],
)
def test_methods_that_the_original_does_not_have_are_left_out_and_counted(changes):
    kept, notes = from_records([record(), record(**changes, experiment=2)])
    assert len(kept) == 1
    assert notes[0].startswith("left out: 1 results of ")


def test_two_methods_of_one_file_are_an_error():
    with pytest.raises(
        InputError, match=r"methods 'a' and 'b' would both be rep_lr_0\.100_wd_0\.001_expid_1_lowshotn_2"
    ):
        from_records([record(method="a"), record(method="b")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"accs": [0.5] * 5}, "accs must be six fractions"),
        ({"accs": [0.5] * 5 + [50.0]}, "accs must be six fractions"),
        ({"accs": "high"}, "accs must be six fractions"),
        ({"lr": "0.1"}, "lr must be a number, not '0.1'"),
        ({"lr": 0.2}, "lr 0.2.*which is not what its name says"),
        ({"expid": 4}, "expid 4.*which is not what its name says"),
        ({"lowshotn": None}, "lowshotn None.*which is not what its name says"),
    ],
)
def test_a_file_that_contradicts_itself_is_named(tmp_path, content, message):
    path = write_run(tmp_path, Run("rep", 1, 2, (0.5,) * 6, 0.1, 0.001, 0))
    path.write_text(json.dumps({**json.loads(path.read_text()), **content}))
    with pytest.raises(InputError, match=message):
        read_run(path)
    with pytest.raises(InputError, match=message):
        read_runs(tmp_path)


def test_what_is_no_result_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no result of the original program"):
        read_runs(tmp_path)
    with pytest.raises(InputError, match=r"results folder .*nowhere does not exist"):
        read_runs(tmp_path / "nowhere")
    path = write_run(tmp_path, Run("rep", 1, 2, (0.5,) * 6))
    path.write_text("[]")
    with pytest.raises(InputError, match="lacks expid, lowshotn, accs"):
        read_run(path)
    path.write_text(path.read_text()[:1])
    with pytest.raises(InputError, match="is not valid JSON"):
        read_run(path)
    with pytest.raises(InputError, match=r"x\.json is not named as a result"):
        read_run(path.rename(tmp_path / "x.json"))
