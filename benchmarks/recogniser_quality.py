"""How good a recogniser is that judges itself by its shots alone: docs/results/recogniser.md.

    python benchmarks/recogniser_quality.py FEATURES.h5 --head HEAD.npz --duplicates DUPLICATES.npz

FEATURES.h5 holds the features of photos of some 48 classes, about 40 each, as `lowshot extract` writes them. Numbers
are means over draws of classes, shots and queries, with 95 % intervals. HEAD.npz, for the table of base classes, has
the classifier of a pretrained network: weight (B, D), centre (D,), and for each class of FEATURES in `base` its base
class, -1 where there is none and -2 where that cannot be said. DUPLICATES.npz has the `rows` of some photos and arrays
(len(rows), D) of features of changed copies of them. Without files, synthetic classes show that it runs.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lowshot.benchmark.metrics import mean_and_half_width
from lowshot.classifiers import NearestMean
from lowshot.features import FeatureStore
from lowshot.recogniser import unknown_scores
from lowshot.recogniser.base_bias import choose_base_bias, from_head
from lowshot.recogniser.calibration import calibrated, expected_calibration_error, fit_temperature
from lowshot.recogniser.check import doubtful_labels, near_duplicates
from lowshot.recogniser.choice import choose_classifier
from lowshot.recogniser.leave_one_out import leave_one_out
from lowshot.recogniser.suggest import suggest
from lowshot.recogniser.unknown import fit_unknown

SHOTS = (1, 2, 3, 5, 10)
CLASSES = (5, 12, 40)
QUERIES = 20
SCORES = ("highest cosine", "highest score", "nearest shot", "energy", "relative Mahalanobis")


class Photos:
    """Features by class, and draws from them."""

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.y = X, y
        self.members = [np.flatnonzero(y == c) for c in range(y.max() + 1)]

    def draw(self, seed: int, n_classes: int, n_shots: int, n_queries: int = QUERIES) -> tuple[np.ndarray, ...]:
        """Rows and labels of shots, rows and labels of queries, and the classes that were not drawn."""
        rng = np.random.default_rng([seed, n_classes, n_shots])
        order = rng.permutation(len(self.members))
        parts = [rng.permutation(self.members[c])[: n_shots + n_queries] for c in order[:n_classes]]
        shots, queries = ([part[i] for part in parts] for i in (slice(n_shots), slice(n_shots, None)))
        labels = [np.repeat(np.arange(n_classes), [len(p) for p in group]) for group in (shots, queries)]
        return np.concatenate(shots), labels[0], np.concatenate(queries), labels[1], order[n_classes:]


def percent(values: Iterable[float]) -> str:
    """A mean in percent with its interval; a dash of nothing."""
    numbers = [value for value in values if value is not None and np.isfinite(value)]
    if not numbers:
        return "–"
    mean, half = mean_and_half_width(numbers)
    return f"{100 * mean:.1f}" + ("" if half is None else f" ± {100 * half:.1f}")


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def sizes(photos: Photos) -> list[int]:
    return [n for n in CLASSES if n <= len(photos.members)]


def accuracy(photos: Photos, draws: int) -> None:
    """Accuracy, calibration error and the leave-one-out estimate."""
    rows, estimates = [], []
    for n_classes in sizes(photos):
        for n_shots in SHOTS:
            found = []
            for seed in range(draws):
                shots, y, queries, truth, _ = photos.draw(seed, n_classes, n_shots)
                choice = choose_classifier(photos.X[shots], y)
                plain = choose_classifier(photos.X[shots], y, [("nearest_mean", {})])
                proba = choice.classifier.predict_proba(photos.X[queries])
                unfitted = NearestMean().fit(photos.X[shots], y).predict_proba(photos.X[queries])
                interval = choice.accuracy.interval
                right = float((proba.argmax(axis=1) == truth).mean())
                found.append(
                    {
                        "accuracy": right,
                        "plain": float((plain.classifier.predict(photos.X[queries]) == truth).mean()),
                        "ece": expected_calibration_error(proba, truth),
                        "before": expected_calibration_error(unfitted, truth),
                        "estimate": choice.accuracy.value,
                        "left out": float(choice.left_out.of_known().correct.mean()) if n_shots > 1 else None,
                        "inside": float(interval[0] <= right <= interval[1]) if choice.accuracy.total else None,
                        "gap": None if choice.accuracy.value is None else choice.accuracy.value - right,
                    }
                )
            column = {name: percent(one[name] for one in found) for name in found[0]}
            name = [str(n_classes), str(n_shots)]
            rows.append([*name, column["accuracy"], column["plain"], column["ece"], column["before"]])
            if n_shots > 1:
                names = ("accuracy", "estimate", "gap", "left out", "inside")
                estimates.append([*name, *(column[one] for one in names)])
    header = ["classes", "photos each", "accuracy, chosen", "accuracy, nearest_mean", "ECE", "ECE, temperature 0.1"]
    table("Accuracy and expected calibration error (%)", header, rows)
    header = ["classes", "photos each", "accuracy", "estimate", "difference", "plain leave-one-out", "truth within"]
    table("The estimate of the accuracy against the truth (%)", header, estimates)


def unknowns(photos: Photos, draws: int) -> None:
    """Known against unknown photos, by several scores, and the rates at the threshold."""
    from sklearn.metrics import roc_auc_score

    rows, rates = [], []
    for n_classes in (5, 12, 24):
        if n_classes >= len(photos.members):
            continue
        for n_shots in SHOTS:
            found, kept = [], []
            for seed in range(draws):
                shots, y, queries, _, others = photos.draw(seed, n_classes, n_shots)
                rng = np.random.default_rng(seed)
                strange = np.concatenate([rng.permutation(photos.members[c])[:15] for c in others])
                X, S = photos.X[np.concatenate([queries, strange])], photos.X[shots]
                known = np.arange(len(X)) < len(queries)
                fitted = NearestMean().fit(S, y)
                left_out = leave_one_out(fitted, S, y)
                scores = fitted.scores(X)
                rule = fit_unknown(S, y)
                each = {
                    "highest cosine": rule.scores(X),
                    "highest score": unknown_scores.highest_score(scores),
                    "nearest shot": unknown_scores.nearest_shot(X, S),
                    "energy": unknown_scores.energy(scores, fit_temperature(fitted, left_out).value),
                }
                if n_shots > 1 and seed < 5:  # needs variance within classes; two eigendecompositions of D x D each
                    each["relative Mahalanobis"] = unknown_scores.relative_mahalanobis(X, S, y)
                found.append({name: roc_auc_score(known, value) for name, value in each.items()})
                passes = ~rule.is_unknown(X)
                kept.append([passes[known].mean(), passes[~known].mean(), rule.kept.value, rule.passed.value])
            name = [str(n_classes), str(n_shots)]
            rows.append([*name, *(percent(one.get(score, np.nan) for one in found) for score in SCORES)])
            rates.append([*name, *(percent(column) for column in zip(*kept))])
    table("Known against unknown photos: AUROC (%)", ["classes", "photos each", *SCORES], rows)
    header = ["classes", "photos each", "known kept", "unknown that pass", "kept, estimated", "pass, estimated"]
    table("Rates at the threshold that keeps 95 % (%)", header, rates)


def labels(photos: Photos, draws: int) -> None:
    """Flipped labels that are found, and right ones that are doubted."""
    rows = []
    for n_classes in sizes(photos)[1:]:
        for n_shots in (5, 10, 20):
            found = []
            for seed in range(draws):
                shots, y, *_ = photos.draw(seed, n_classes, n_shots)
                rng = np.random.default_rng(seed)
                flipped = rng.permutation(len(y))[: max(1, len(y) // 10)]
                given = y.copy()
                given[flipped] = (y[flipped] + rng.integers(1, n_classes, len(flipped))) % n_classes
                doubted = doubtful_labels(photos.X[shots], given)
                hits = [one for one in doubted if one.row in set(flipped.tolist())]
                false = len(doubted) - len(hits)
                found.append(
                    (
                        len(hits) / len(flipped),
                        false / (len(y) - len(flipped)),
                        len(hits) / max(len(doubted), 1),
                        np.mean([one.suggestion == y[one.row] for one in hits]) if hits else np.nan,
                    )
                )
            rows.append([str(n_classes), str(n_shots), *(percent(column) for column in zip(*found))])
    header = ["classes", "photos each", "flipped found", "right ones doubted", "doubts that are right", "class right"]
    table("Check: 10 % of labels flipped (%)", header, rows)


def duplicates(photos: Photos, draws: int, path: str | None) -> None:
    """Planted copies that are found among other photos, and pairs that are found without any."""
    copies = dict(np.load(path)) if path else {"rows": np.arange(20), "exact": photos.X[:20]}
    sources = copies.pop("rows")
    header = ["copies", "found", "photos in groups without copies"]
    rows = []
    for kind, features in copies.items():
        found = []
        for seed in range(draws):
            rng = np.random.default_rng(seed)
            chosen = rng.permutation(len(sources))[:20]
            rest = rng.permutation(np.setdiff1d(np.arange(len(photos.X)), sources))[:400]
            X = np.concatenate([photos.X[sources[chosen]], features[chosen], photos.X[rest]]).astype(np.float32)
            n = len(chosen)
            groups = near_duplicates(X)
            hits = sum(any(i in group and i + n in group for group in groups) for i in range(n))
            alone = near_duplicates(photos.X[rest])
            found.append((hits / n, sum(map(len, alone)) / len(rest)))
        rows.append([kind, *(percent(column) for column in zip(*found))])
    table("Check: 20 planted copies among 420 photos (%)", header, rows)


Strategy = Callable[[np.ndarray, np.ndarray, np.ndarray, int, np.random.Generator], Iterable[int]]


def at_random(_: np.ndarray, __: np.ndarray, pool: np.ndarray, n: int, rng: np.random.Generator) -> Iterable[int]:
    return rng.permutation(len(pool))[:n]


def suggested(X: np.ndarray, y: np.ndarray, pool: np.ndarray, n: int, _: np.random.Generator) -> Iterable[int]:
    fitted = NearestMean().fit(X, y)
    return suggest(pool, n, classifier=calibrated(fitted, leave_one_out(fitted, X, y)), shots=X)


def labelling(photos: Photos, draws: int) -> None:
    """Accuracy after so many labels, at random and as suggested."""
    for n_classes in sizes(photos)[1:]:
        batch = n_classes // 2
        curves: dict[str, list[list[float]]] = {"at random": [], "suggested": []}
        for seed in range(draws):
            shots, y, queries, truth, _ = photos.draw(seed, n_classes, 25, 15)
            for name, strategy in (("at random", at_random), ("suggested", suggested)):
                rng = np.random.default_rng(seed)
                labelled = np.unique(y, return_index=True)[1]
                curve = []
                for step in range(13):
                    fitted = NearestMean().fit(photos.X[shots[labelled]], y[labelled])
                    curve.append(float((fitted.predict(photos.X[queries]) == truth).mean()))
                    rest = np.setdiff1d(np.arange(len(shots)), labelled)
                    args = photos.X[shots[labelled]], y[labelled], photos.X[shots[rest]], batch, rng
                    if step < 12:
                        labelled = np.concatenate([labelled, rest[np.asarray(strategy(*args))]])
                curves[name].append(curve)
        steps = list(range(0, 13, 2))
        rows = [[name, *(percent(curve[step] for curve in runs) for step in steps)] for name, runs in curves.items()]
        labels_at = [str(n_classes + batch * step) for step in steps]
        table(f"Suggest, {n_classes} classes: accuracy (%) after so many labels", ["photos", *labels_at], rows)
        means = {name: np.mean(runs, axis=0) for name, runs in curves.items()}
        for step in (4, 8, 12):
            reached = np.flatnonzero(means["suggested"] >= means["at random"][step])
            print(
                f"\nThe accuracy of {n_classes + batch * step} labels at random, {means['at random'][step]:.1%}, takes "
                f"{n_classes + batch * int(reached[0])} suggested ones."
            )


def base_classes(photos: Photos, draws: int, path: str) -> None:
    """Photos of base classes and of novel ones, both among all classes."""
    head = np.load(path)
    base = head["base"]
    names = [f"base {i:05d}" for i in range(len(head["weight"]))]
    start = from_head(head["weight"], names, head["centre"])
    known = np.flatnonzero(base[photos.y] >= 0)
    truth = np.array(names)[base[photos.y[known]]]
    before = float((start.predict(photos.X[known]) == truth).mean())
    rows = []
    novel = np.flatnonzero(base == -1)
    for n_classes in (1, 2, 5, len(novel)):
        for n_shots in (1, 2, 5):
            found = []
            for seed in range(draws):
                rng = np.random.default_rng([seed, n_classes, n_shots])
                classes = rng.permutation(novel)[:n_classes]
                parts = [rng.permutation(photos.members[c]) for c in classes]
                shots = np.concatenate([part[:n_shots] for part in parts])
                queries = np.concatenate([part[n_shots:] for part in parts])
                shot_labels, query_labels = ([f"novel {c}" for c in photos.y[rows_]] for rows_ in (shots, queries))
                fitted = copy.copy(start).fit_novel(photos.X[shots], shot_labels)
                result = []
                left_out = leave_one_out(fitted, photos.X[shots], shot_labels)
                bias = choose_base_bias(left_out, len(names)).bias
                for each in (fitted, fitted.with_calibration_bias(bias)):
                    result.append(float((each.predict(photos.X[queries]) == np.array(query_labels)).mean()))
                    result.append(float((each.predict(photos.X[known]) == truth).mean()))
                found.append(result)
            rows.append([str(n_classes), str(n_shots), *(percent(column) for column in zip(*found))])
    header = [
        "novel classes",
        "photos each",
        "novel, bias 0",
        "base, bias 0",
        "novel, chosen bias",
        "base, chosen bias",
    ]
    table(f"{len(names)} base classes: {before:.1%} of {len(known)} photos of base classes right alone", header, rows)


def synthetic() -> Photos:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(48), 36)
    means = rng.normal(size=(48, 64))
    return Photos((means[y] + 1.2 * rng.normal(size=(len(y), 64))).astype(np.float32), y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", nargs="?", help="features of photos in a file of lowshot; synthetic ones without")
    parser.add_argument("--head", help="the classifier of a pretrained network, as .npz")
    parser.add_argument("--duplicates", help="features of changed copies, as .npz")
    parser.add_argument("--draws", type=int, default=None, help="draws of each number; 10, or 2 of synthetic features")
    options = parser.parse_args()
    if options.features:
        store = FeatureStore.open(options.features)
        photos = Photos(np.asarray(store.features), np.asarray(store.labels))
    else:
        photos = synthetic()
    draws = options.draws or (10 if options.features else 2)
    accuracy(photos, draws)
    unknowns(photos, draws)
    labels(photos, draws)
    duplicates(photos, draws, options.duplicates)
    labelling(photos, draws)
    if options.head:
        base_classes(photos, draws, options.head)


if __name__ == "__main__":
    main()
