"""Every program has the original's flags and defaults, explains itself, and ends as programs should."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from lowshot.compat import program
from lowshot.errors import InputError, LowshotError

REQUIRED = object()

FLAGS: dict[str, dict[str, Any]] = {
    "main": {
        "traincfg": REQUIRED,
        "valcfg": REQUIRED,
        "model": "ResNet18",
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "lr_decay": 0.1,
        "step_size": 30,
        "print_freq": 10,
        "save_freq": 10,
        "start_epoch": 0,
        "stop_epoch": 90,
        "allow_resume": 0,
        "resume_file": None,
        "checkpoint_dir": REQUIRED,
        "aux_loss_type": "l2",
        "aux_loss_wt": 0.1,
        "num_classes": 1000,
        "dampening": 0,
        "warmup_epochs": 0,
        "warmup_lr": 0.01,
    },
    "save_features": {
        "cfg": REQUIRED,
        "outfile": REQUIRED,
        "modelfile": REQUIRED,
        "model": "ResNet10",
        "num_classes": 1000,
    },
    "train_analogy_generator": {
        "lowshotmeta": REQUIRED,
        "trainfile": REQUIRED,
        "numclasses": 1000,
        "outdir": ".",
        "networkfile": None,
        "initlr": 0.1,
    },
    "low_shot": {
        "lowshotmeta": REQUIRED,
        "experimentpath": REQUIRED,
        "experimentid": 1,
        "lowshotn": REQUIRED,
        "trainfile": REQUIRED,
        "testfile": REQUIRED,
        "testsetup": 0,
        "numclasses": 1000,
        "lr": 0.1,
        "momentum": 0.9,
        "wd": 0.001,
        "maxiters": 10000,
        "batchsize": 1000,
        "outdir": ".",
        "max_per_label": 0,
        "generator_name": "",
        "generator_file": "",
    },
    "matching_network": {
        "test": REQUIRED,
        "trainfile": REQUIRED,
        "lowshotmeta": REQUIRED,
        "modelfile": REQUIRED,
        "testfile": None,
        "experimentpath": None,
        "experimentid": 1,
        "lowshotn": 1,
        "testsetup": 0,
        "K": 5,
        "outdir": ".",
    },
    "parse_results": {
        "resultsdir": ".",
        "repr": "",
        "lr": 0.1,
        "wd": 0.001,
        "max_per_label": 0,
        "matchingnetwork": 0,
    },
}
WHOLE_NUMBERS = {"test", "lowshotn"}


@pytest.mark.parametrize("name", FLAGS)
def test_flags_and_defaults_are_the_originals(name: str) -> None:
    parser = importlib.import_module(f"lowshot.compat.{name}").flags()
    required = [flag for flag, default in FLAGS[name].items() if default is REQUIRED]
    given = dict.fromkeys(required, "7")
    found = vars(parser.parse_args([word for flag, value in given.items() for word in (f"--{flag}", value)]))
    read = {flag: 7 if flag in WHOLE_NUMBERS else "7" for flag in required}
    defaults = {flag: default for flag, default in FLAGS[name].items() if default is not REQUIRED}
    assert found == {**defaults, **read}
    for flag in required:
        less = [word for other, value in given.items() if other != flag for word in (f"--{other}", value)]
        with pytest.raises(SystemExit):
            parser.parse_args(less)


@pytest.mark.parametrize("name", FLAGS)
def test_a_program_explains_every_flag(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main = importlib.import_module(f"lowshot.compat.{name}").main
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"--{flag}" in printed for flag in FLAGS[name])
    assert main(["--no_such_flag"]) == 2


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("a key is missing"), 2, "error: a key is missing"),
        (LowshotError("the loss diverged"), 1, "error: the loss diverged"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (ZeroDivisionError("division by zero"), 1, "a fault in lowshot"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_goes_wrong_becomes_an_exit_code_and_a_message(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(given: program.Flags) -> None:
        raise error

    assert program.run(program.parser("main", "nothing"), work, []) == code
    printed = capsys.readouterr().err
    assert said in " ".join(printed.split())
    assert ("Traceback" in printed) == isinstance(error, ZeroDivisionError)
