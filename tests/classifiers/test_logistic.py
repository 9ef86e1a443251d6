from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from lowshot.classifiers.balanced_batches import BLOCK_STEPS, BalancedBatches, Pool
from lowshot.classifiers.balanced_sgd import SGDSettings, balanced_sgd
from lowshot.classifiers.logistic import Logistic
from lowshot.classifiers.ridge import Ridge
from lowshot.devices import matmul_precision
from lowshot.errors import DivergedError, InputError
from tests.classifiers.problems import problem
from tests.reference.logistic import class_balanced_sgd

# The default of 10 000 steps would take minutes over all checks.
CHECKED = [Logistic(n_steps=200, lr=0.5, random_state=0), Logistic(solver="lbfgs")]


# No check is expected to fail.
@parametrize_with_checks(CHECKED)
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def pools(p):
    """Base and novel examples with their columns."""
    base = np.searchsorted(np.unique(p.base[1]), p.base[1])
    novel = np.searchsorted(np.unique(p.novel[1]), p.novel[1]) + len(np.unique(base))
    return [
        Pool(torch.tensor(X).float(), torch.tensor(columns)) for X, columns in [(p.base[0], base), (p.novel[0], novel)]
    ]


def example_by_example(batches, base, shots, run, n_steps):
    """The batches of one run: features, columns, and weights that add up to one."""
    for rows, drawn in batches.steps(n_steps):
        chosen, weights = drawn[run], torch.ones(batches.from_shots)
        if batches.weighted:
            chosen, weights = torch.arange(len(shots.columns)), drawn[run]
        parts = [(base, rows, torch.ones(len(rows))), (shots, chosen, weights)]
        yield (
            np.concatenate([pool.features[index] for pool, index, _ in parts]),
            np.concatenate([pool.columns[index] for pool, index, _ in parts]),
            np.concatenate([weights for _, _, weights in parts]) / (batches.from_base + batches.from_shots),
        )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 100),
    n_base=st.integers(1, 4),
    n_novel=st.integers(1, 4),
    n_shots=st.integers(1, 8),
    batch_size=st.integers(2, 20),
    extra=st.integers(0, 2),
    momentum=st.sampled_from([0.0, 0.9]),
    dampening=st.sampled_from([0.0, 0.9]),
    every=st.integers(1, 4),
)
def test_two_runs_trained_together_are_two_runs_trained_example_by_example(
    seed, n_base, n_novel, n_shots, batch_size, extra, momentum, dampening, every
):
    base, first = pools(problem(n_base=n_base, n_novel=n_novel, n_shots=n_shots, seed=seed))
    _, second = pools(problem(n_base=n_base, n_novel=n_novel, n_shots=n_shots, seed=seed + 1))
    outputs = n_base + n_novel + extra
    rates = {"lr": 0.5, "momentum": momentum, "dampening": dampening, "weight_decay": 0.01}
    if every > 1:
        rates["lr"] = 0.05
    sizes = (n_base, n_novel)

    def train(n_steps):
        sgd = SGDSettings(n_steps=n_steps, batch_size=batch_size, gradient_every=every, **rates)
        with matmul_precision("float32"):
            return balanced_sgd(base, [first, second], *sizes, outputs, sgd, 3, [4, 5])

    try:
        start, end = train(0), train(6)
    except DivergedError:  # a few steps on small batches sometimes diverge
        reject()
    for run, shots in enumerate((first, second)):
        batches = BalancedBatches(base, [first, second], *sizes, batch_size, 3, [4, 5], in_epochs=every > 1)
        weight, bias = class_balanced_sgd(
            start[0][run].numpy(),
            start[1][run].numpy(),
            example_by_example(batches, base, shots, run, math.ceil(6 / every)),
            **rates,
            n_steps=6,
            every=every,
        )
        np.testing.assert_allclose(end[0][run], weight, atol=2e-5)
        np.testing.assert_allclose(end[1][run], bias, atol=2e-5)


def test_a_step_is_that_of_torch():
    _, shots = pools(problem(n_base=1, n_novel=4))
    shots = Pool(shots.features[:1], shots.columns[:1] - 1)  # one example: every batch holds it alone
    sgd = SGDSettings(lr=0.3, momentum=0.9, dampening=0.9, weight_decay=0.1, n_steps=5, batch_size=7)
    weight, bias = balanced_sgd(None, [shots], 0, 4, 4, SGDSettings(0.3, 0.9, 0.9, 0.1, 0, 7), 0, [1])
    layer = torch.nn.Linear(6, 4)
    with torch.no_grad():
        layer.weight.copy_(weight[0])
        layer.bias.copy_(bias[0])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.3, momentum=0.9, dampening=0.9, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(layer(shots.features), shots.columns).backward()
        optimizer.step()
    weight, bias = balanced_sgd(None, [shots], 0, 4, 4, sgd, 0, [1])
    torch.testing.assert_close(weight[0], layer.weight.detach())
    torch.testing.assert_close(bias[0], layer.bias.detach())


def test_it_starts_as_a_torch_layer_starts():
    shots = Pool(torch.zeros(1, 25), torch.zeros(1, dtype=torch.long))
    sgd = SGDSettings(0.1, 0.9, 0.9, 0.0, 0, 10)
    weight, bias = balanced_sgd(None, [shots, shots], 0, 1, 400, sgd, 0, [0, 1])
    reference = torch.nn.Linear(25, 400)
    for ours, theirs in ((weight[0], reference.weight), (bias[0], reference.bias)):
        assert 0.97 / 5 < ours.abs().max() <= 1 / 5
        assert theirs.abs().max() <= 1 / 5
        assert abs(ours.std() / theirs.std() - 1) < 0.1
    assert not torch.equal(weight[0], weight[1])


@settings(max_examples=30, deadline=None)
@given(n_base=st.integers(1, 9), n_novel=st.integers(1, 9), n_shots=st.integers(1, 4), batch_size=st.integers(1, 40))
def test_a_batch_is_shared_out_by_numbers_of_classes(n_base, n_novel, n_shots, batch_size):
    base, shots = pools(problem(n_base=n_base, n_novel=n_novel, n_shots=n_shots))
    batches = BalancedBatches(base, [shots], n_base, n_novel, batch_size, 0, [0])
    share = round(batch_size * n_base / (n_base + n_novel))
    seen = 0
    for rows, drawn in batches.steps(BLOCK_STEPS + 1):
        assert len(rows) == share
        assert len(set(rows.tolist())) == min(share, 20 * n_base) or share > 20 * n_base, "without replacement"
        assert (drawn.sum() if batches.weighted else drawn.shape[1]) == batch_size - share
        seen += 1
    assert seen == BLOCK_STEPS + 1


@pytest.mark.parametrize("n_shots", [2, 30])  # weighted and gathered
def test_every_example_is_drawn_equally_often(n_shots):
    base, shots = pools(problem(n_base=2, n_novel=2, n_shots=n_shots))
    batches = BalancedBatches(base, [shots, shots], 2, 2, 40, 0, [0, 1])
    assert batches.weighted == (n_shots == 2)
    of_base, of_shots = np.zeros(40), np.zeros((2, 2 * n_shots))
    for rows, drawn in batches.steps(1000):
        of_base[rows] += 1
        for run in range(2):
            counts = drawn[run] if batches.weighted else torch.bincount(drawn[run], minlength=2 * n_shots)
            of_shots[run] += counts.numpy()
    assert of_base.sum() == of_shots[0].sum() == of_shots[1].sum() == 20 * 1000
    for counts in (of_base, *of_shots):
        expected = 20_000 / len(counts)
        assert abs(counts / expected - 1).max() < 5 / math.sqrt(expected)
    assert not np.array_equal(of_shots[0], of_shots[1])


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    batch_size=st.integers(1, 30),
    seed=st.integers(0, 100),
)
def test_an_epoch_has_all_examples_once_with_the_classes_evenly_mixed(sizes, batch_size, seed):
    columns = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    pool = Pool(torch.zeros(len(columns), 1), columns)
    batches = BalancedBatches(pool, [pool, pool], 1, 1, 2 * batch_size, seed, [seed, seed + 1], in_epochs=True)
    orders = [[], [], []]  # of the base examples and of the shots of each run
    for rows, drawn in batches.steps(2 * len(columns)):
        if batches.weighted:
            torch.testing.assert_close(drawn, torch.full((2, len(columns)), batch_size / len(columns)))
        for order, taken in zip(orders, (rows, *([] if batches.weighted else drawn))):
            order += taken.tolist()
    for order in orders[: 1 if batches.weighted else 3]:
        for start in range(0, len(order) - len(columns) + 1, len(columns)):
            assert sorted(order[start : start + len(columns)]) == list(range(len(columns)))
            for count in range(1, len(columns)):
                seen = np.bincount(columns[order[start : start + count]], minlength=len(sizes))
                share = np.array(sizes) / len(columns)
                assert np.all(np.abs(seen - count * share) < 1 + len(sizes) * share)
    if not batches.weighted and len(columns) > 4:
        assert orders[1] != orders[2]


@pytest.mark.parametrize("every", [1, 7])
def test_runs_alone_and_together_are_the_same_runs(every):
    p = problem()
    runs = [problem(n_shots=n, seed=seed).novel for n, seed in [(1, 0), (1, 1), (3, 2), (1, 3)]]
    known = Logistic(n_steps=30, batch_size=50, gradient_every=every, random_state=7).fit_base(*p.base)
    together = known.fit_novel_runs(runs, seeds=[1, 2, 3, 4])
    for run, shots, seed in zip(together, runs, [1, 2, 3, 4], strict=True):
        alone = copy.copy(known).set_params(random_state=seed).fit_novel(*shots)
        np.testing.assert_allclose(run.coef_, alone.coef_, atol=1e-6)
        np.testing.assert_array_equal(run.classes_, alone.classes_)


def test_the_seed_decides_and_nothing_else():
    p = problem()

    def coefficients(base_seed, seed):
        known = Logistic(n_steps=20, random_state=base_seed).fit_base(*p.base)
        return known.fit_novel_runs([p.novel], [seed])[0].coef_

    first = coefficients(0, 1)
    torch.manual_seed(5)
    np.testing.assert_array_equal(coefficients(0, 1), first)
    assert not np.array_equal(coefficients(0, 2), first)
    assert not np.array_equal(coefficients(9, 1), first)


def test_base_and_novel_classes_are_both_recognised():
    p = problem(dim=20, n_shots=5, noise=0.3)
    queries, labels = p.queries
    for solver in ("sgd", "lbfgs"):
        known = Logistic(solver, n_steps=500, batch_size=100, random_state=0).fit_base(*p.base)
        assert np.mean(known.fit_novel(*p.novel).predict(queries) == labels) > 0.9


def test_many_steps_reach_the_optimum_of_lbfgs():
    p = problem(n_shots=4)
    sgd, optimum = (
        Logistic(solver, weight_decay=0.05, n_steps=3000, batch_size=400, random_state=0)
        .fit_base(*p.base)
        .fit_novel(*p.novel)
        for solver in ("sgd", "lbfgs")
    )
    np.testing.assert_allclose(sgd.coef_, optimum.coef_, atol=0.03)


def test_base_classes_alone_are_learned_when_asked_for():
    X, y = problem(dim=20, noise=0.3).base
    known = Logistic(n_steps=200, batch_size=50, random_state=0).fit_base(X, y)
    np.testing.assert_array_equal(known.scores(X), Logistic(**known.get_params()).fit(X, y).scores(X))


def test_further_outputs_take_part_in_training_and_have_no_column():
    p = problem()
    few, many = (
        Logistic(n_outputs=n, n_steps=50, batch_size=50, random_state=0).fit_base(*p.base).fit_novel(*p.novel)
        for n in (None, 20)
    )
    assert many.scores(p.queries[0]).shape == few.scores(p.queries[0]).shape == (32, 8)
    assert not np.allclose(few.coef_, many.coef_)
    with pytest.raises(InputError, match="n_outputs is 7, but there are 8 classes"):
        Logistic(n_outputs=7).fit_base(*p.base).fit_novel(*p.novel)


def test_reduced_precision_is_close_and_leaves_torch_as_it_was():
    p = problem()
    before = torch.get_float32_matmul_precision()
    full, reduced = (
        Logistic(precision=precision, n_steps=300, batch_size=50, random_state=0)
        .fit_base(*p.base)
        .fit_novel(*p.novel)
        .scores(p.queries[0])
        for precision in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(full, reduced, atol=0.03)
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(
    "wrong",
    [{"lr": -1.0}, {"lr": math.nan}, {"weight_decay": math.inf}, {"momentum": 1.0}, {"dampening": -0.1}],
)
def test_rates_that_no_step_can_use_are_refused_before_any_fit(wrong):
    p = problem()
    (name,) = wrong
    with pytest.raises(InputError, match=rf"{name}=.* must be a finite number of at least 0"):
        Logistic(**wrong).fit_base(*p.base)


def test_a_gradient_that_serves_eight_short_steps_ends_where_eight_gradients_do():
    p = problem(n_base=5, n_novel=5, n_shots=3, dim=20)
    each, reused, fewer = (
        Logistic(batch_size=100, random_state=0, **steps).fit_base(*p.base).fit_novel(*p.novel).coef_
        for steps in (
            {"n_steps": 800},
            {"n_steps": 800, "gradient_every": 8},
            {"n_steps": 100},
        )
    )
    # The difference is the noise of the draws.
    assert np.linalg.norm(reused - each) < 0.2 * np.linalg.norm(fewer - each), "it is not merely less training"


def test_steps_too_long_for_one_gradient_are_refused():
    p = problem(n_shots=3)
    with pytest.raises(InputError, match=r"gradient_every=8 with lr=500: the loss rose from .* lower gradient_every"):
        Logistic(lr=500, n_steps=80, batch_size=50, gradient_every=8, random_state=0).fit_base(*p.base).fit_novel(
            *p.novel
        )


def test_a_gradient_cannot_serve_half_a_step():
    with pytest.raises(InputError, match=r"gradient_every=2\.5 must be a whole number"):
        Logistic(gradient_every=2.5).fit(*problem().novel)


def test_unknown_choices_are_refused():
    p = problem()
    for wrong, choices in (({"solver": "newton"}, "lbfgs, sgd"), ({"precision": "float8"}, "'float32'")):
        (name,) = wrong
        with pytest.raises(InputError, match=f"{name}='{wrong[name]}' is not one of its choices.*{choices}"):
            Logistic(**wrong).fit(*p.novel)


@pytest.mark.parametrize("length", [100.0, 400.0])
def test_long_features_are_learned_as_well_as_usual_ones(length):
    """Digits of five examples each, scaled to a length: as right as with the closed form, which has no steps."""
    X, y = load_digits(return_X_y=True)
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    train = np.concatenate([np.flatnonzero(y == c)[:5] for c in range(10)])
    rest = np.setdiff1d(np.arange(len(y)), train)

    def accuracy(classifier, scale):
        return classifier.fit(scale * X[train], y[train]).score(scale * X[rest], y[rest])

    quick = {"n_steps": 1000, "random_state": 0}
    usual = accuracy(Logistic(**quick), 20.0)
    assert accuracy(Logistic(**quick), length) > usual - 0.005
    assert accuracy(Logistic(**quick), length) > accuracy(Ridge(), length) - 0.02
    assert accuracy(Logistic(rescale_above=None, **quick), length) < usual - 0.02


def test_features_of_usual_length_are_not_rescaled():
    p = problem()
    lengths = np.sqrt((p.base[0] ** 2).sum(axis=1).mean())
    for factor, same in ((39 / lengths, True), (41 / lengths, False)):
        q = p._replace(base=(factor * p.base[0], p.base[1]), novel=(factor * p.novel[0], p.novel[1]))
        one, other = (
            Logistic(n_steps=20, random_state=0, rescale_above=above).fit_base(*q.base).fit_novel(*q.novel)
            for above in (40.0, None)
        )
        assert np.array_equal(one.coef_, other.coef_) == same


def test_rescaling_is_learning_on_divided_features():
    p = problem(noise=1.0)
    X, y = 100 * p.novel[0], p.novel[1]
    divisor = np.sqrt((X**2).sum(axis=1).mean()) / 20
    ours = Logistic(n_steps=50, precision="float32", random_state=0).fit(X, y)
    divided = Logistic(n_steps=50, precision="float32", random_state=0, rescale_above=None).fit(X / divisor, y)
    np.testing.assert_allclose(ours.scores(100 * p.queries[0]), divided.scores(100 * p.queries[0] / divisor), atol=1e-4)
    np.testing.assert_allclose(ours.coef_, divided.coef_ / divisor, rtol=1e-4)
