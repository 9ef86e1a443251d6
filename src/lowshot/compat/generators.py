"""The generator that ``--generator_name`` and ``--generator_file`` of ``low_shot`` stand for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowshot.compat.formats.generator import read_stored
from lowshot.compat.stored_analogies import StoredAnalogies
from lowshot.errors import InputError, did_you_mean
from lowshot.plugins import functions_of, plugin_functions

if TYPE_CHECKING:
    from lowshot.hallucination.base import ShotGenerator

PLUGIN_FUNCTIONS = ("init_generator", "do_generate")


def load_generator(name: str, file: str) -> ShotGenerator:
    """Load a generator.

    Args:
        name (str): ``analogies``, the name of another generator of lowshot, or a Python file or module with the
            original's two functions.
        file (str): The original's ``generator.tar``, a file that the generator of lowshot was saved in, or whatever
            ``init_generator`` takes.

    Raises:
        InputError: There is no such generator, or the file is missing or holds another one.
    """
    if name == "analogies":
        return _analogies(_required(name, file))
    if name.endswith(".py"):
        return _functions(plugin_functions(name, *PLUGIN_FUNCTIONS), file)
    from lowshot.registry import GENERATORS

    if name in GENERATORS:
        return _registered(name, _required(name, file))
    if _importable(name):
        return _functions(functions_of(_imported(name), *PLUGIN_FUNCTIONS), file)
    raise InputError(
        f"--generator_name {name!r} is no generator, Python file or module. {did_you_mean(name, GENERATORS.names())}"
    )


def _required(name: str, file: str) -> str:
    if not file:
        raise InputError(f"--generator_name {name} needs --generator_file: what the generator was saved in")
    return file


def _analogies(file: str) -> StoredAnalogies:
    if Path(file).suffix != ".safetensors":
        return read_stored(file)
    from lowshot.hallucination import AnalogyGenerator

    found = AnalogyGenerator.load(file)
    return StoredAnalogies(found.concatenated_centroids_, found.counts_, found.weights_, found.signed_)


def _functions(functions: Sequence[Any], file: str) -> ShotGenerator:
    from lowshot.hallucination import wrap_functions

    init_generator, do_generate = functions
    generator = wrap_functions(init_generator, do_generate, file)
    generator.prepare()
    return generator


def _registered(name: str, file: str) -> ShotGenerator:
    from lowshot.hallucination.functions import FunctionGenerator
    from lowshot.registry import GENERATORS

    kind: Any = GENERATORS.get(name)
    generator: ShotGenerator = kind(file) if issubclass(kind, FunctionGenerator) else kind.load(file)
    if isinstance(generator, FunctionGenerator):
        generator.prepare()
    return generator


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise InputError(f"module {name} failed while it was imported: {type(error).__name__}: {error}") from error
