"""The six compat programs against plain programs of the same work (benchmarks/plain), start-up included.

    python benchmarks/compat.py [PROGRAM ...] [--only NAME] [--repeats 3] [--threads 1] [--json FILE]

Both are started as processes of their own with the same flags on the same files, and timed in processor seconds (user
and system), so that other work on the machine hardly counts; the two take turns, and the shortest of the repeats is
taken. Every pair is run at two lengths: the shortest there is, which is the start, and one that shows what a further
step, episode or image costs. A time is start + length × cost, so the ratio at any length lies between that of the
starts and that of the costs.

Target: at least 1.2 at either end.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
PLAIN = Path(__file__).parent / "plain"
DIM = 512
BASE, NOVEL = (range(32), range(32, 64)), (range(64, 82), range(82, 100))
SPLITS = {
    "": ({"base": BASE, "novel": NOVEL}, (300, 60)),
    "few": ({"base": (range(1), range(1, 20)), "novel": ([20], [21])}, (300, 60)),
    "many": ({"base": (range(193), range(193, 389)), "novel": ([389], [390])}, (20, 1)),
}
TARGET = 1.2

# The start of a program whose two lengths are set apart from each other.
OURS = {
    "train_analogy_generator": [
        "-c",
        "import os; from lowshot.compat import analogies, train_analogy_generator as program; "
        "n = int(os.environ['STEPS']); analogies.N_STEPS, analogies.N_CLASSIFIER_STEPS = 12 * n, n; "
        "program.end(program.main())",
    ]
}


@dataclass(frozen=True)
class Pair:
    """One piece of work for both programs.

    Attributes:
        name (str): The name of the row.
        program (str): The program.
        flags (str): The flags that both have.
        unit (str): The unit of the length.
        lengths (tuple of int): The shortest length, and a longer one.
        change (callable): The flags and variables (ours, plain) that set a length.
    """

    name: str
    program: str
    flags: str
    unit: str
    lengths: tuple[int, int]
    change: Callable[[int], tuple[str, str, dict[str, str]]]


def make_features(folder: Path, groups: dict[str, tuple[Sequence[int], Sequence[int]]], rows: tuple[int, int]) -> None:
    """Features of overlapping classes, a split and experiments, under the original's names."""
    rng = np.random.default_rng(0)
    classes = sum(len(half) for halves in groups.values() for half in halves)
    means = rng.gamma(1.0, 0.5, (classes, DIM)).astype(np.float32)
    split: dict[str, list] = {"label_names": [f"c{c}" for c in range(classes)]}
    for name, halves in groups.items():
        split[f"{name}_classes_1"], split[f"{name}_classes_2"] = ([*half] for half in halves)
        split[f"{name}_classes"] = [*halves[0], *halves[1]]
    (folder / "features").mkdir(parents=True)
    for part, per_class in zip(("train", "val"), rows):
        labels = rng.permutation(np.repeat(np.arange(classes), per_class))
        with h5py.File(folder / f"features/{part}.hdf5", "w") as file:
            noise = rng.standard_normal((len(labels), DIM), dtype=np.float32)
            file["all_feats"] = np.maximum(means[labels] + noise / 2, 0)
            file["all_labels"], file["count"] = labels.astype("i4"), np.array([len(labels)], "i4")
        if part == "train":
            for e in range(1, 6):
                draw = [rng.permutation(np.flatnonzero(labels == c))[:20].tolist() for c in range(classes)]
                (folder / f"splitfile_{e}.json").write_text(json.dumps(draw))
    (folder / "label_idx.json").write_text(json.dumps(split))


def make_results(folder: Path) -> None:
    (folder / "results").mkdir()
    for n in (1, 2, 5, 10, 20):
        for e in range(1, 6):
            value = {"lr": 0.1, "wd": 0.001, "expid": e, "lowshotn": n, "accs": np.random.rand(6).tolist()}  # noqa: NPY002
            name = f"features_lr_0.100_wd_0.001_expid_{e}_lowshotn_{n}_maxgen_0.json"
            (folder / "results" / name).write_text(json.dumps(value))


def make_images(folder: Path, counts: Sequence[int]) -> None:
    """Photographs of ImageNet's usual size, and lists and configurations of the first few of them."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(max(counts)):
        coarse = rng.integers(256, size=(30, 40, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC).save(
            folder / f"images/{number}.jpg", quality=90
        )
    statistics = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    jitter = {"jitter_params": {"Brightness": 0.4, "Contrast": 0.4, "Color": 0.4}, "image_size": 224, **statistics}
    augmented = ["RandomSizedCrop", "ImageJitter", "RandomHorizontalFlip", "ToTensor", "Normalize"]
    centred = ["Scale", "CenterCrop", "ToTensor", "Normalize"]
    transforms = {
        "train": {"transform_list": augmented, **jitter},
        "val": {"transform_list": centred, "scale": 256, "image_size": 224, **statistics},
    }
    for count in counts:
        value = {"image_names": [f"{i}.jpg" for i in range(count)], "image_labels": [i % 2 for i in range(count)]}
        (folder / f"list_{count}.json").write_text(json.dumps(value))
        for part, transform in transforms.items():
            config = {
                "dataset_type": "MetaDataset",
                "dataset_params": {"meta": str(folder / f"list_{count}.json"), "rootdir": str(folder / "images")},
                "transform_params": transform,
                "data_loader_params": {"batch_size": 16, "num_workers": 0},
            }
            (folder / f"{part}_{count}.yaml").write_text(yaml.safe_dump(config))


def pairs(folder: Path) -> Iterator[Pair]:
    files = f"--lowshotmeta {folder}/label_idx.json --trainfile {folder}/features/train.hdf5"
    few, many = (
        f"--lowshotmeta {folder}/{name}/label_idx.json --trainfile {folder}/{name}/features/train.hdf5"
        for name in ("few", "many")
    )
    run = f"{files} --testfile {folder}/features/val.hdf5 --experimentpath {folder}/splitfile_{{:d}}.json --testsetup 1"
    run += f" --outdir {folder}/out"

    def steps(n: int) -> tuple[str, str, dict[str, str]]:
        return "", f"--steps {n}", {"LOWSHOT_COMPAT_STEPS": str(n)}

    def generator_steps(n: int) -> tuple[str, str, dict[str, str]]:
        # As in the original, twelve steps of the generator for one of its classifier; neither has a flag there.
        return "", f"--steps {12 * n} --classifier_steps {n}", {"STEPS": str(n)}

    def iterations(n: int) -> tuple[str, str, dict[str, str]]:
        return f"--maxiters {n}", f"--maxiters {n}", {}

    def images(flags: str) -> Callable[[int], tuple[str, str, dict[str, str]]]:
        return lambda n: (flags.format(n=n), flags.format(n=n), {})

    for model in ("ResNet10", "ResNet50"):
        shared = f"--model {model} --stop_epoch 1 --num_classes 1000 --checkpoint_dir {folder}/checkpoints_{model}"
        shared += f" --aux_loss_type sgm --aux_loss_wt 0.02 --valcfg {folder}/val_16.yaml --lr 0.001"
        yield Pair(f"main, {model}", "main", shared, "image", (16, 64), images(f"--traincfg {folder}/train_{{n}}.yaml"))
    for model in ("ResNet10", "ResNet50"):
        shared = f"--model {model} --modelfile {folder}/{model}.tar --outfile {folder}/out/{model}.hdf5"
        change = images(f"--cfg {folder}/val_{{n}}.yaml")
        yield Pair(f"save_features, {model}", "save_features", shared, "image", (16, 96), change)
    generator = f"--outdir {folder}/generation --lowshotmeta {folder}/two_classes.json"
    generator += f" --trainfile {folder}/features/train.hdf5"
    yield Pair(
        "train_analogy_generator, 2 classes",
        "train_analogy_generator",
        generator,
        "12 + 1 steps",
        (1, 25),
        generator_steps,
    )
    yield Pair("low_shot, n = 1", "low_shot", f"{run} --lowshotn 1", "step", (1, 150), iterations)
    yield Pair("low_shot, n = 20", "low_shot", f"{run} --lowshotn 20", "step", (1, 150), iterations)
    generated = f"--max_per_label 5 --generator_file {folder}/generator.tar"
    yield Pair(
        "low_shot, generated to 5",
        "low_shot",
        f"{run} --lowshotn 1 {generated}",
        "step",
        (1, 150),
        lambda n: (f"--maxiters {n} --generator_name analogies", f"--maxiters {n}", {}),
    )
    for classes, data, longer in ((20, few, 30), (64, files, 30), (389, many, 7)):
        train = f"--test 0 --modelfile {folder}/out/mn_{classes}.tar {data}"
        name = f"matching_network, training, {classes} classes"
        yield Pair(name, "matching_network", train, "episode", (1, longer), steps)
    yield Pair(
        "matching_network, test",
        "matching_network",
        f"--test 1 --modelfile {folder}/matching.tar {run} --lowshotn 1",
        "query",
        (50, 3000),
        lambda n: (f"--testfile {folder}/features/val_{n}.hdf5",) * 2 + ({},),
    )
    results = f"--resultsdir {folder}/results --repr features"
    yield Pair("parse_results", "parse_results", results, "run", (25, 25), lambda n: ("", "", {}))


def seconds(command: Sequence[str], folder: Path, threads: int, more: dict[str, str]) -> float:
    """Processor seconds of a process and its children."""
    environment = {**os.environ, **more, "OMP_NUM_THREADS": str(threads), "LOWSHOT_COMPAT_OVERWRITE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), environment.get("PYTHONPATH")]))
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{(folder / 'log').read_text()}")
    return usage.ru_utime + usage.ru_stime


def commands(pair: Pair, length: int) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The commands of both programs at a length, and the variables they run with."""
    ours, plain, variables = pair.change(length)
    start = OURS.get(pair.program, ["-m", f"lowshot.compat.{pair.program}"])
    return {
        "ours": [sys.executable, *start, *pair.flags.split(), *ours.split()],
        "plain": [sys.executable, str(PLAIN / f"{pair.program}.py"), *pair.flags.split(), *plain.split()],
    }, variables


def measure(pair: Pair, folder: Path, threads: int, repeats: int) -> dict[str, object]:
    lengths = list(dict.fromkeys(pair.lengths))
    times: dict[str, list[float]] = {kind: [float("inf")] * len(lengths) for kind in ("ours", "plain")}
    for _ in range(repeats):
        for place, length in enumerate(lengths):
            both, variables = commands(pair, length)
            for kind, command in both.items():
                times[kind][place] = min(times[kind][place], seconds(command, folder, threads, variables))
    ratios = {"shortest": times["plain"][0] / times["ours"][0]}
    costs = {}
    if len(lengths) > 1:
        span = lengths[1] - lengths[0]
        costs = {kind: (long - short) / span for kind, (short, long) in times.items()}
        ratios["further"] = costs["plain"] / costs["ours"]
    return {"name": pair.name, "unit": pair.unit, "seconds": times, "cost": costs, "ratio": ratios}


def make_models(folder: Path) -> None:
    """Write the files that some programs write and others read, by untrained modules."""
    sys.path.insert(0, str(PLAIN))
    import torch

    plain = {name: importlib.import_module(name) for name in ("network", "matching_network", "train_analogy_generator")}
    for name in ("ResNet10", "ResNet50"):
        state = {f"module.{key}": value for key, value in plain["network"].Network(name, 1000).state_dict().items()}
        torch.save({"epoch": 0, "state": state}, folder / f"{name}.tar")
    torch.save(plain["matching_network"].MatchingNetwork(DIM, 5).state_dict(), folder / "matching.tar")
    content = {"model_state": plain["train_analogy_generator"].Generator(DIM).state_dict()}
    content |= {"concatenated_centroids": torch.rand(3200, DIM), "num_base_classes": 32, "num_clusters_per_class": 100}
    torch.save(content, folder / "generator.tar")


def make(folder: Path) -> None:
    for name, (groups, rows) in SPLITS.items():
        make_features(folder / name, groups, rows)
    make_models(folder)
    split = json.loads((folder / "label_idx.json").read_text())
    split |= {"base_classes_1": [0], "base_classes_2": [1], "base_classes": [0, 1]}
    (folder / "two_classes.json").write_text(json.dumps(split))
    with h5py.File(folder / "features/val.hdf5") as whole:
        known = np.flatnonzero(np.isin(whole["all_labels"][:], [*BASE[1], *NOVEL[1]]))
        one_each = [int(np.flatnonzero(whole["all_labels"][:] == c)[0]) for c in (*BASE[1], *NOVEL[1])]
        for count in (50, 3000):
            rows = np.sort(one_each + [row for row in known if row not in one_each][: count - len(one_each)])
            with h5py.File(folder / f"features/val_{count}.hdf5", "w") as file:
                file["all_feats"], file["all_labels"] = whole["all_feats"][rows], whole["all_labels"][rows]
                file["count"] = np.array([len(rows)], "i4")
    make_results(folder)
    make_images(folder, (16, 64, 96))
    (folder / "out").mkdir()


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="the programs to time; all by default")
    parser.add_argument("--only", default="", help="time the rows alone whose name contains this")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    print(f"{processor()}, {args.threads} thread; processor seconds, the shortest of {args.repeats}\n")
    print("| program | shortest: ours | plain | ratio | one more | ours | plain | ratio |")
    print("|---|---:|---:|---:|---|---:|---:|---:|")
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        for pair in pairs(folder):
            if args.only not in pair.name or (args.programs and pair.program not in args.programs):
                continue
            row = measure(pair, folder, args.threads, args.repeats)
            found.append(row)
            times, costs, ratios = row["seconds"], row["cost"], row["ratio"]
            cells = [f"{times['ours'][0]:.2f} s", f"{times['plain'][0]:.2f} s", f"{ratios['shortest']:.2f}"]  # type: ignore[index]
            if costs:
                cells += [pair.unit, *(f"{1e3 * costs[kind]:.3g} ms" for kind in ("ours", "plain"))]  # type: ignore[index]
                cells.append(f"{ratios['further']:.2f}")  # type: ignore[index]
            print(f"| {pair.name} | {' | '.join([*cells, *[''] * (7 - len(cells))])} |", flush=True)
    low = [row["name"] for row in found if min(row["ratio"].values()) < TARGET]  # type: ignore[attr-defined]
    print(f"\nbelow {TARGET}: {', '.join(map(str, low)) or 'none'}")
    if args.json:
        args.json.write_text(json.dumps({"processor": processor(), "threads": args.threads, "rows": found}) + "\n")


if __name__ == "__main__":
    main()
