"""Every program has the original's flags and defaults, explains itself, and ends as programs should."""

from __future__ import annotations

import importlib
import signal
from typing import Any

import pytest

from lowshot.compat import program
from lowshot.errors import InputError, LowshotError
from lowshot.exits import Ended

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
        "outdir": None,
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
        "outdir": None,
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
        "outdir": None,
    },
    "parse_results": {
        "resultsdir": None,
        "repr": None,
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
    given = dict.fromkeys(required, "1")
    found = vars(parser.parse_args([word for flag, value in given.items() for word in (f"--{flag}", value)]))
    read = {flag: 1 if flag in WHOLE_NUMBERS else "1" for flag in required}
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


UNFIT = {
    "main": {
        "lr": ("0", "nan", "inf", "x"),
        "momentum": ("-1", "1", "nan"),
        "weight_decay": ("-1", "nan"),
        "lr_decay": ("0", "2"),
        "step_size": ("0",),
        "save_freq": ("0",),
        "start_epoch": ("-1", "90"),
        "stop_epoch": ("0",),
        "allow_resume": ("2",),
        "aux_loss_wt": ("-1", "nan", "inf"),
        "num_classes": ("0",),
        "dampening": ("-1", "nan"),
        "warmup_epochs": ("-1",),
        "warmup_lr": ("0", "nan"),
    },
    "save_features": {"num_classes": ("0", "1.5")},
    "train_analogy_generator": {"numclasses": ("0",), "initlr": ("0", "-1", "nan", "inf")},
    "low_shot": {
        "experimentid": ("-1",),
        "lowshotn": ("0",),
        "testsetup": ("2",),
        "numclasses": ("0",),
        "lr": ("0", "-1", "nan", "inf"),
        "momentum": ("-1", "1", "5", "nan"),
        "wd": ("-1", "nan", "inf"),
        "maxiters": ("0", "-1", "1.5"),
        "batchsize": ("0",),
        "max_per_label": ("-1",),
    },
    "matching_network": {
        "test": ("2", "-1"),
        "experimentid": ("-1",),
        "lowshotn": ("0",),
        "testsetup": ("2",),
        "K": ("0",),
    },
    "parse_results": {"lr": ("0", "nan"), "wd": ("-1",), "max_per_label": ("-1",), "matchingnetwork": ("7",)},
}


@pytest.mark.parametrize(
    ("name", "flag", "value"),
    [(name, flag, value) for name, flags in UNFIT.items() for flag, values in flags.items() for value in values],
)
def test_a_number_that_a_flag_cannot_have_is_named_before_any_file_is_opened(
    name: str, flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """None of the files that the required flags name exists, but it is the number that is complained of."""
    required = [other for other, default in FLAGS[name].items() if default is REQUIRED and other != flag]
    arguments = [word for other in required for word in (f"--{other}", "1")]
    assert importlib.import_module(f"lowshot.compat.{name}").main([*arguments, f"--{flag}={value}"]) == 2
    assert f"--{flag}" in capsys.readouterr().err.partition("error: ")[2]


def test_every_number_among_the_flags_is_checked() -> None:
    """But for what has no effect."""
    numbers = {
        (name, flag)
        for name, flags in FLAGS.items()
        for flag, default in flags.items()
        if isinstance(default, int | float) or flag in WHOLE_NUMBERS
    }
    assert numbers - {("main", "print_freq")} == {(name, flag) for name, flags in UNFIT.items() for flag in flags}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("a key is missing"), 2, "error: a key is missing"),
        (LowshotError("the loss diverged"), 1, "error: the loss diverged"),
        (OSError(28, "No space left on device"), 1, "no space left on device"),
        (ZeroDivisionError("division by zero"), 1, "a fault in lowshot"),
        (Ended(signal.SIGINT), 130, "interrupted"),
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
