"""Bad input of every program: named in the message, with exit code 2, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import pytest

from lowshot.compat.formats.generator import write_generator
from tests.compat.workspace import (
    GENERATION,
    LOW_SHOT,
    MATCHING,
    PLUGIN,
    SAVE,
    SAVE12,
    TRAIN,
    WITH_NETWORK,
    drop,
    generator,
    infect,
    infect_zip,
    run,
    stamps,
    truncate,
)


def relabel(path: str, label: int) -> Callable[[], object]:
    def work() -> None:
        with h5py.File(path, "r+") as file:
            file["all_labels"][5] = label

    return work


def shuffle_experiment() -> None:
    draw = json.loads(Path("splitfile_1.json").read_text())
    Path("splitfile_1.json").write_text(json.dumps(draw[1:] + draw[:1]))


def nothing() -> None: ...


def _without(arguments: Sequence[str], flag: str) -> list[str]:
    place = arguments.index(flag)
    return [*arguments[:place], *arguments[place + 2 :]]


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        # wrong architecture
        (nothing, [*SAVE12, "--model", "ResNet18"], "net.tar holds a ResNet10, but ResNet18 was asked for"),
        (nothing, [*SAVE12, "--model", "ResNet11"], "unknown model 'ResNet11'. Did you mean"),
        (nothing, [*TRAIN, "--model", "ResNet9"], "unknown model 'ResNet9'"),
        (nothing, SAVE, "a classifier of 12 classes, but 1000 were asked for"),
        # missing keys
        (drop("net.tar", "module.trunk.1.weight"), SAVE12, "Missing: trunk.1.weight"),
        (drop("generator.tar", "num_base_classes"), GENERATION, "generator.tar lacks num_base_classes"),
        (drop("mn.tar", "FCE.lstmcell.bias_hh"), [*MATCHING, "1"], "must hold one 'bias_hh'"),
        (lambda: Path("label_idx.json").write_text("{}"), LOW_SHOT, "needs the key 'base_classes_1'"),
        # other width
        (nothing, [*WITH_NETWORK, "features/net/train.hdf5"], "has 512 features, but the features file has 8"),
        (nothing, [*LOW_SHOT, "--testfile", "wide/features/net/val.hdf5"], "come from different backbones"),
        (lambda: write_generator("generator.tar", generator(4)), GENERATION, "8 dimensions where 4 are expected"),
        (
            nothing,
            [*MATCHING, "1", "--trainfile", "wide/features/net/train.hdf5"],
            "mn.tar was trained on 8 features per image, but",
        ),
        # truncated files
        (truncate("net.tar"), SAVE12, "net.tar"),
        (truncate("net.tar"), [*WITH_NETWORK, "wide/features/net/train.hdf5"], "net.tar"),
        (
            truncate("net.tar"),
            [*TRAIN, "--model", "ResNet10", "--allow_resume", "1", "--resume_file", "net.tar"],
            "net",
        ),
        (truncate("generator.tar"), GENERATION, "generator.tar"),
        (truncate("mn.tar"), [*MATCHING, "1"], "mn.tar"),
        (truncate("features/net/train.hdf5"), LOW_SHOT, "train.hdf5 is truncated or damaged"),
        (truncate("splitfile_1.json"), LOW_SHOT, "splitfile_1.json is not valid JSON"),
        # malicious pickles
        (infect("net.tar"), SAVE12, "net.tar was refused"),
        (infect_zip("net.tar"), SAVE12, "net.tar was refused"),
        (
            infect("net.tar"),
            [*TRAIN, "--model", "ResNet10", "--allow_resume", "1", "--resume_file", "net.tar"],
            "refused",
        ),
        (infect("net.tar"), [*WITH_NETWORK, "wide/features/net/train.hdf5"], "net.tar was refused"),
        (infect_zip("generator.tar"), GENERATION, "generator.tar was refused"),
        (infect("mn.tar"), [*MATCHING, "1"], "mn.tar was refused"),
        # labels out of range
        (nothing, [*TRAIN, "--num_classes", "9"], "but there are 9 classes: labels run from 0 to 8"),
        (nothing, SAVE12, "but there are 12 classes"),
        (relabel("features/net/train.hdf5", 12), [*LOW_SHOT, "--numclasses", "12"], "row 5 has label 12"),
        (relabel("features/net/val.hdf5", 12), LOW_SHOT, "row 5 has label 12, outside the split"),
        (relabel("wide/features/net/train.hdf5", -1), [*WITH_NETWORK, "wide/features/net/train.hdf5"], "label -1"),
        (relabel("features/net/train.hdf5", 12), [*MATCHING, "0", "--modelfile", "new.tar"], "row 5 has label 12"),
        # experiments of other rows
        (shuffle_experiment, LOW_SHOT, "splitfile_1.json do not fit"),
        (shuffle_experiment, [*MATCHING, "1"], "splitfile_1.json do not fit"),
        # flags
        (nothing, [*LOW_SHOT, "--experimentid", "9"], "splitfile_9.json does not exist"),
        (
            nothing,
            [*LOW_SHOT, "--experimentpath", "splitfile_{0.id}.json"],
            "needs one place for the experiment's number",
        ),
        (
            nothing,
            [*LOW_SHOT, "--experimentpath", "splitfile_{0[id]}.json"],
            "needs one place for the experiment's number",
        ),
        (nothing, [*LOW_SHOT, "--lowshotn", "11"], "11 shots are asked for"),
        (nothing, [*LOW_SHOT, "--max_per_label", "3"], "--max_per_label needs --generator_name"),
        (nothing, [*GENERATION, "--generator_name", "analogy"], "Did you mean 'analogies'"),
        (nothing, [*GENERATION, "--generator_name", "no.py"], "no.py does not exist"),
        (nothing, [*GENERATION, "--generator_name", "json"], "defines no function 'init_generator'"),
        (nothing, [*GENERATION, "--generator_file", "no.tar"], "no.tar does not exist"),
        (
            lambda: Path("mine.py").write_text(PLUGIN),
            [*GENERATION, "--generator_name", "mine.py", "--generator_file", "no.txt", "--lowshotn", "99"],
            "init_generator failed (",
        ),
        (
            lambda: (
                Path("mine.py").write_text(PLUGIN.replace("return np.vstack", "return np.vsplit")),
                Path("state.txt").write_text("1"),
            ),
            [*GENERATION, "--generator_name", "mine.py", "--generator_file", "state.txt"],
            "do_generate failed (",
        ),
        # places that nothing can be written to: known before the work, which would fail too, on what comes next to it
        (nothing, [*LOW_SHOT, "--outdir", "net.tar", "--lowshotn", "99"], "--outdir net.tar is a file"),
        (nothing, [*LOW_SHOT, "--outdir", "net.tar/x", "--lowshotn", "99"], "--outdir net.tar/x cannot be written"),
        (nothing, [*MATCHING, "1", "--outdir", "net.tar"], "--outdir net.tar is a file: expected a folder"),
        (nothing, [*MATCHING, "0", "--modelfile", "features"], "--modelfile features is a folder: expected a file"),
        (nothing, [*SAVE12, "--outfile", "net.tar/val.hdf5"], "--outfile net.tar/val.hdf5 cannot be written: Not a"),
        (nothing, [*TRAIN, "--checkpoint_dir", "net.tar"], "--checkpoint_dir net.tar is a file"),
        (
            nothing,
            [*WITH_NETWORK, "features/net/train.hdf5", "--outdir", "net.tar"],
            "--outdir net.tar/net cannot be written",
        ),
        (nothing, ["parse_results", "--resultsdir", ".", "--repr", "net"], "no result of this method"),
        (nothing, ["parse_results", "--repr", "net"], "--resultsdir is missing"),
        (nothing, ["parse_results", "--resultsdir", "."], "--repr is missing"),
        (nothing, _without(LOW_SHOT, "--outdir"), "--outdir is missing"),
        (nothing, _without([*MATCHING, "1"], "--outdir"), "--outdir is missing"),
        (nothing, _without([*WITH_NETWORK, "wide/features/net/train.hdf5"], "--outdir"), "--outdir is missing"),
        (nothing, [*TRAIN, "--lr", "-1"], "--lr: input should be greater than 0"),
        (nothing, [*TRAIN, "--aux_loss_type", "sgn"], "Did you mean 'sgm'"),
        (nothing, [*TRAIN, "--aux_loss_type", "no.py"], "no.py does not exist"),
        (nothing, [*TRAIN, "--start_epoch", "90"], "--start_epoch is 90"),
        (nothing, [*TRAIN, "--model", "ResNet10", "--allow_resume", "1", "--resume_file", "no.tar"], "does not exist"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    spoil: Callable[[], object], arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil()
    before = stamps(folder)
    assert run(*arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert message in said
    assert "Traceback" not in said
    assert stamps(folder) == before
