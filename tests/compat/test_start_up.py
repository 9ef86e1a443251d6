"""A program loads what its work needs and nothing else: what it does not import, a short run does not wait for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.workspace import ANALOGIES, GENERATION, LOW_SHOT, MATCHING, SAVE12, TRAIN

PROGRAMS = ("main", "save_features", "train_analogy_generator", "low_shot", "matching_network", "parse_results")
SLOW = ("sklearn", "scipy.stats", "torch._dynamo", "torchvision", "lightning_fabric", "joblib", "pandas")


def modules_after(code: str) -> set[str]:
    """The modules that a process has imported at its end."""
    last = "import sys; print('modules', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{last}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("name", PROGRAMS)
def test_flags_are_parsed_before_anything_large_is_imported(name: str) -> None:
    code = f"from lowshot.compat.{name} import main; assert main(['--help']) == 0; assert main(['--no']) == 2"
    assert not modules_after(code) & {"torch", "numpy", "rich", *SLOW}


@pytest.mark.parametrize(
    "arguments",
    [LOW_SHOT, GENERATION, [*MATCHING, "0", "--modelfile", "new.tar"], [*MATCHING, "1"]],
    ids=["low_shot", "low_shot, generated", "matching_network, training", "matching_network, test"],
)
def test_a_program_on_features_imports_neither_estimators_nor_torchs_compiler(
    folder: Path, arguments: list[str]
) -> None:
    name, *flags = arguments
    loaded = modules_after(f"from lowshot.compat.{name} import main; assert main({flags!r}) == 0")
    assert "torch" in loaded
    assert not loaded & set(SLOW)


def test_programs_on_images_do_not_import_torchvision(folder: Path) -> None:
    """Nor torch's compiler and what imports it."""
    save = [*SAVE12[1:], "--cfg", "images/few.yaml"]
    config = Path("images/val_save_data.yaml").read_text().replace("val.json", "few.json")
    Path("images/few.yaml").write_text(config)
    listed = json.loads(Path("images/val.json").read_text())
    rows = [row for row, label in enumerate(listed["image_labels"]) if label < 12]
    few = {key: [listed[key][row] for row in rows] for key in ("image_names", "image_labels")}
    Path("images/few.json").write_text(json.dumps(few))
    loaded = modules_after(f"from lowshot.compat.save_features import main; assert main({save!r}) == 0")
    assert not loaded & {"torchvision", "torch._dynamo", "lightning_fabric", "sklearn", "scipy.stats"}
    train = [*TRAIN[1:], "--model", "ResNet10", "--num_classes", "30", "--stop_epoch", "1"]
    loaded = modules_after(f"from lowshot.compat.main import main; assert main({train!r}) == 0")
    assert not loaded & {"torchvision", "torch._dynamo", "lightning_fabric", "sklearn", "scipy.stats"}


def test_the_generators_program_imports_no_estimators(folder: Path) -> None:
    name, *flags = [*ANALOGIES, "--trainfile", "features/net/train.hdf5"]
    loaded = modules_after(f"from lowshot.compat.{name} import main; assert main({flags!r}) == 0")
    assert not loaded & {"sklearn", "torch._dynamo", "torchvision", "lightning_fabric"}


@pytest.mark.parametrize(("flag", "code"), [("--help", 0), ("--no_such_flag", 2)])
def test_the_end_of_a_process_has_its_exit_code_and_all_of_its_output(flag: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-m", "lowshot.compat.low_shot", flag], capture_output=True, text=True)
    assert done.returncode == code
    assert "--lowshotmeta" in done.stdout + done.stderr


def test_what_is_registered_for_the_end_of_a_process_is_called() -> None:
    code = """
import atexit, sys, threading, time
from lowshot.compat.program import end
atexit.register(lambda: print("registered"))
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
sys.stdout.write("no end of line, ")
end(3)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout == "no end of line, thread\nregistered\n"
