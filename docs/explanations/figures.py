"""The figures and tables of docs/explanations, from characters that lowshot draws. Nothing is downloaded.

python docs/explanations/figures.py                # a few minutes on one core
python docs/explanations/figures.py --classes 16   # a quick look, with other numbers
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from lowshot.benchmark import Engine, choose_bias, run_benchmark, summarise
from lowshot.benchmark.calibration_bias import Validation
from lowshot.classifiers import Logistic, LowShotClassifier, NearestMean
from lowshot.data import ClassSplit, Experiments, Setup, build_dataset
from lowshot.features import FeatureStore, extract_features
from lowshot.hallucination import AnalogyGenerator, CalibrationGenerator, DifferenceGenerator, Generator
from lowshot.report import Theme, new_figure
from lowshot.report.figures.style import DARK, LIGHT, _settings
from lowshot.representation import load_pretrained

HERE = Path(__file__).parent
N_SHOTS = (1, 2, 5)
STEPS = 200
GENERATORS = {"analogies": AnalogyGenerator, "calibration": CalibrationGenerator, "difference": DifferenceGenerator}


@dataclass
class Problem:
    """Features of characters by EfficientNet-Lite0, which was trained on photographs and on none of these classes."""

    train: FeatureStore
    test: FeatureStore
    split: ClassSplit
    experiments: Experiments

    @classmethod
    def make(cls, folder: Path, classes: int, n_experiments: int) -> Problem:
        network = load_pretrained("efficientnet_lite0")
        parts = []
        for part in ("train", "test"):
            sizes = {"train_per_class": 20, "test_per_class": 10, "image_size": 64}
            images = build_dataset("glyphs", part, classes=classes, difficulty=0.3, **sizes)
            file = folder / f"{part}.hdf5"
            extract_features(network.backbone, images, network.preprocessing.transforms(), file, cache=True)
            parts.append(FeatureStore.open(file))
        train, test = parts
        quarter = classes // 4
        split = ClassSplit.random(train.class_names, base=(quarter, quarter), novel=(quarter, quarter), seed=0)
        experiments = Experiments.random(train.labels, train.paths, train.class_names, n_experiments, max_shots=5)
        return cls(train, test, split, experiments)

    def base(self, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = self.train.rows_of(classes)
        return self.train.rows(rows), self.train.labels[rows]

    def runs(self, setup: Setup, classifier: LowShotClassifier, n_shots: int) -> list[LowShotClassifier]:
        """The classifier after each draw of shots."""
        draws = [self.experiments.shots(e + 1, n_shots, setup.novel) for e in range(len(self.experiments))]
        known = classifier.fit_base(*self.base(setup.base))
        return known.fit_novel_runs([(self.train.rows(d), self.train.labels[d]) for d in draws], range(len(draws)))

    def queries(self, setup: Setup) -> tuple[np.ndarray, np.ndarray]:
        rows = self.test.rows_of([*setup.base, *setup.novel])
        return self.test.rows(rows), self.test.labels[rows]


def calibration_bias(problem: Problem) -> Callable[[Theme], Figure]:
    """Accuracies of test queries against the bias, for one shot and for five, and the bias that setup val chooses."""
    curves = {}
    for n in (1, 5):
        classifier = Logistic(n_steps=STEPS, random_state=0)
        val, test = problem.split.setup("val"), problem.split.setup("test")
        chosen = choose_bias(Validation.of(val, problem.runs(val, classifier, n), *problem.queries(val)), "all_top1")
        biases = np.linspace(-2, 8, 101)
        X, labels = problem.queries(test)
        novel = np.isin(labels, test.novel)
        right = np.zeros((len(biases), len(labels)))
        runs = problem.runs(test, classifier, n)
        for run in runs:
            scores = run.decision_function(X)
            columns = np.isin(run.classes_, test.novel)
            for row, bias in enumerate(biases):
                right[row] += run.classes_[(scores + bias * columns).argmax(axis=1)] == labels
        right *= 100 / len(runs)
        curves[n] = (chosen, biases, right[:, ~novel].mean(1), right[:, novel].mean(1), right.mean(1))
        without, with_bias = (int(np.abs(biases - bias).argmin()) for bias in (0, chosen))
        for name, line in zip(("base", "novel", "all"), curves[n][2:], strict=True):
            print(f"n = {n}, bias {chosen:.2f} chosen on val: {name} {line[without]:.1f} -> {line[with_bias]:.1f}")

    def draw(theme: Theme) -> Figure:
        figure = new_figure(7.2, 3.3)
        axes = figure.subplots(1, 2, sharey=True)
        for axis, (n, (chosen, biases, *lines)) in zip(axes, curves.items(), strict=True):
            for name, line, colour, dash in zip(
                ("base queries", "novel queries", "all queries"), lines, theme.lines, ("--", ":", "-"), strict=False
            ):
                axis.plot(biases, line, color=colour, linestyle=dash, label=name)
            axis.axvline(0, color=theme.muted, linewidth=0.8)
            axis.axvline(chosen, color=theme.right, linewidth=1.2)
            axis.annotate(" chosen on val", (chosen, 94), color=theme.right, fontsize=8)
            axis.set_title(f"{n} shot{'s' if n > 1 else ''} a novel class", fontsize=9)
            axis.set_xlabel("bias added to the scores of novel classes")
            axis.set_ylim(0, 100)
        axes[0].set_ylabel("top-1 accuracy, %")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
        return figure

    return draw


def gains(problem: Problem, generators: Mapping[str, Generator]) -> Callable[[Theme], Figure]:
    """What generators change, over all classes, with the bias, and among novel classes alone."""
    metrics = {
        "all_top1": "over all classes",
        "all_prior_top1": "over all classes, with bias",
        "novel_only_top1": "among novel classes only",
    }
    lines: dict[str, dict[str, list[float]]] = {metric: {} for metric in metrics}
    for kind, classifier in (
        ("linear", Logistic(n_steps=STEPS, random_state=0)),
        ("nearest mean", NearestMean()),
    ):
        found = {}
        for name, generator in {"none": None, **generators}.items():
            records = run_benchmark(
                *(problem.train, problem.test, problem.split, problem.experiments, classifier),
                **{"n_shots": N_SHOTS, "prior_target": "all_top1", "generator": generator, "engine": Engine("serial")},
                n_per_class=0 if generator is None else 5,
            )
            reported = [record for record in records if record["setup"] == "test"]
            for metric in metrics:
                means = [100 * one.mean for one in summarise(reported, metric)]
                found[name, metric] = means
                print(f"{kind:12s} {name:12s} {metric:16s}", " ".join(f"{mean:5.1f}" for mean in means))
                if name not in ("none", "difference"):
                    difference = [a - b for a, b in zip(means, found["none", metric], strict=True)]
                    lines[metric][f"{kind} + {name}"] = difference

    def draw(theme: Theme) -> Figure:
        figure = new_figure(7.2, 3.4)
        axes = figure.subplots(1, len(metrics), sharey=True)
        for axis, (metric, title) in zip(axes, metrics.items(), strict=True):
            axis.axhline(0, color=theme.muted, linewidth=0.8)
            for index, (name, line) in enumerate(lines[metric].items()):
                style = {
                    "color": theme.lines[index // 2],
                    "marker": "os"[index % 2],
                    "linestyle": ("-", "--")[index % 2],
                }
                axis.plot(range(len(N_SHOTS)), line, label=name, **style)
            axis.set_xticks(range(len(N_SHOTS)), [str(n) for n in N_SHOTS])
            axis.set_title(title, fontsize=9)
            axis.set_xlabel("shots")
        axes[0].set_ylabel("change of top-1, points")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
        return figure

    return draw


def fit_generators(problem: Problem) -> dict[str, Generator]:
    features, labels = problem.base(problem.split.base)
    found: dict[str, Generator] = {}
    for name, generator in GENERATORS.items():
        options = {"n_clusters": 6, "n_steps": 2 * STEPS} if name == "analogies" else {}
        found[name] = generator(**options).fit(features, labels)
    return found


def plane(problem: Problem, generators: Mapping[str, Generator]) -> Callable[[Theme], Figure]:
    """One shot of a novel class, the real images of that class, and what each generator makes of the shot."""
    setup = problem.split.setup("test")
    label = setup.novel[0]
    row = problem.experiments.shots(1, 1, [label])
    real = problem.train.rows(problem.train.rows_of([label]))
    centre = real.mean(axis=0)
    directions = np.linalg.svd(real - centre, full_matrices=False)[2][:2]
    shares = ((real - centre) @ directions.T).var(axis=0) / (real - centre).var(axis=0).sum()
    shot = problem.train.rows(row)
    made = {
        name: generator.generate(shot, [label], n_per_class=21, random_state=0)[0][1:]
        for name, generator in generators.items()
    }

    def draw(theme: Theme) -> Figure:
        figure = new_figure(7.2, 2.9)
        axes = figure.subplots(1, len(made), sharex=True, sharey=True)
        for axis, (name, features) in zip(axes, made.items(), strict=True):
            for points, style in (
                (
                    real,
                    {"color": theme.muted, "marker": "o", "s": 14, "alpha": 0.8, "label": "real images of the class"},
                ),
                (
                    features,
                    {"color": theme.lines[1], "marker": "^", "s": 14, "alpha": 0.8, "label": "generated from the shot"},
                ),
                (shot, {"color": theme.lines[0], "marker": "*", "s": 110, "label": "the shot", "zorder": 3}),
            ):
                axis.scatter(*((points - centre) @ directions.T).T, **style)
            axis.set_title(name, fontsize=9)
            axis.set_xlabel(f"1st direction ({shares[0]:.0%})", fontsize=8)
        axes[0].set_ylabel(f"2nd direction ({shares[1]:.0%})", fontsize=8)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
        return figure

    return draw


def save(name: str, draw: Callable[[Theme], Figure], folder: Path) -> None:
    """Write a figure in both themes; the same numbers give the same bytes."""
    for theme, file in ((LIGHT, f"{name}.svg"), (DARK, f"{name}-dark.svg")):
        with matplotlib.style.context(["default", _settings(theme), {"svg.hashsalt": name}]):
            draw(theme).savefig(folder / file, format="svg", metadata={"Date": None, "Creator": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute all figures and print the numbers that the pages quote."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=40, help="the number of characters")
    parser.add_argument("--experiments", type=int, default=10, help="the number of draws of shots")
    parser.add_argument("--out", type=Path, default=HERE, help="the folder of the figures")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        problem = Problem.make(Path(folder), options.classes, options.experiments)
        save("calibration-bias", calibration_bias(problem), options.out)
        generators = fit_generators(problem)
        save("generation-plane", plane(problem, generators), options.out)
        save("generation-gains", gains(problem, generators), options.out)


if __name__ == "__main__":
    main()
