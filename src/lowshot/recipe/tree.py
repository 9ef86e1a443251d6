"""The plain content of a recipe: YAML, changes from the command line and interpolation, before it is checked.

A path is a path: where the schema wants one, ``2024``, ``1e5`` and ``no`` stay the text that the user wrote. So do
names of classes, and the options of data sets that are texts.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from lowshot.errors import InputError
from lowshot.files import read_text
from lowshot.recipe.interpolation import check_interpolations
from lowshot.recipe.texts import CLASS_NAME_KEYS, IS_PATH
from lowshot.trees import MAX_DEPTH, parse_yaml

Keys = tuple[str, ...]


def read_tree(
    source: Path, overrides: Sequence[str], values: Mapping[str, Any], model: type[BaseModel]
) -> dict[str, Any]:
    """The content of a recipe file with changes.

    Args:
        source (Path): A YAML file.
        overrides (sequence of str): ``key.subkey=value``; values are YAML, with interpolation.
        values (mapping): Dotted key → plain value, taken as it is: no YAML, no interpolation.
        model (type): The schema, which says which values are paths.

    Raises:
        InputError: The file or an override is not valid YAML, or an override does not fit the file.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from lowshot.data.options import text_options

    options = (("data", "options", name) for name in sorted(text_options()))
    paths = [*path_keys(model), *CLASS_NAME_KEYS, *options]
    what, text = f"recipe {source}", read_text(source, "recipe")
    try:
        tree: Any = parse_yaml(text, what, _omegaconf)
        if not OmegaConf.is_dict(tree):
            raise InputError(f"{what} must be a mapping of sections such as data: and train:")
        plain, written = OmegaConf.to_container(tree), parse_yaml(text, what, _as_written)
        for keys in paths:
            _keep_text(plain, written, keys)
        tree = OmegaConf.create(plain)
        for override in overrides:
            key, equals, value = override.partition("=")
            if not equals or not key or key.count(".") >= MAX_DEPTH:
                raise InputError(f"override {_short(override)!r} must have the form key.subkey=value")
            if any(_fits(key.split("."), keys) for keys in paths):
                override = f"{key}={_quoted(value)}"
            else:
                parse_yaml(value, f"override {_short(override)!r}")
            try:
                tree = OmegaConf.merge(tree, OmegaConf.from_dotlist([override]))
            except TypeError:  # a list for a mapping, or the other way round
                raise InputError(f"override {override!r}: {key} is of another kind in {source}") from None
        check_interpolations(cast(dict[str, Any], OmegaConf.to_container(tree)), what)
        resolved: Any = OmegaConf.to_container(tree, resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(f"{what} with {list(overrides)}: {str(error).splitlines()[0]}") from None
    for key, value in values.items():
        _put(resolved, key.split("."), value)
    return cast(dict[str, Any], resolved)


def _omegaconf(text: str) -> Any:
    """The text as OmegaConf parses it: numbers such as 1e-3, and no key twice; an empty one has no keys."""
    from omegaconf import OmegaConf

    # parse_yaml has a bound of its own, which no environment variable changes.
    has_bound = "max_yaml_expanded_nodes" in inspect.signature(OmegaConf.create).parameters
    return OmegaConf.create(text or "{}", **({"max_yaml_expanded_nodes": None} if has_bound else {}))


def _as_written(text: str) -> Any:
    """The tree of a text with every value as the text that was written."""
    import yaml

    return yaml.load(text, Loader=yaml.BaseLoader)


def to_yaml(tree: Mapping[str, Any]) -> str:
    """The text that :func:`read_tree` reads back as ``tree``, texts that look like an interpolation included."""
    import yaml

    return yaml.safe_dump(_escaped(tree), sort_keys=False, allow_unicode=True, width=120)


def path_keys(model: type[BaseModel]) -> Iterator[Keys]:
    """The keys whose values are paths; ``*`` stands for any key of a mapping or item of a list."""
    for name, field in model.model_fields.items():
        if IS_PATH in field.metadata:
            yield (name,)
        for rest in _path_keys_in(field.annotation):
            yield (name, *rest)


def _path_keys_in(annotation: Any) -> Iterator[Keys]:
    """The keys of paths in a value of a type: an empty one where the value itself is a path."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from path_keys(annotation)
        return
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated and IS_PATH in arguments[1:]:
        yield ()
    elif origin in (dict, tuple, list):
        for rest in _path_keys_in(arguments[origin is dict]):
            yield ("*", *rest)
    else:
        for inner in arguments:
            yield from _path_keys_in(inner)


def _keep_text(tree: Any, written: Any, keys: Sequence[str]) -> None:
    """Put the text of the file in the place of a number, truth value or date that YAML made of it."""
    first, rest = keys[0], keys[1:]
    if isinstance(tree, dict):
        places = list(tree) if first == "*" else [first]
    elif isinstance(tree, list) and first == "*":
        places = list(range(len(tree)))
    else:
        return
    for place in places:
        try:
            value, text = tree[place], written[place]
        except (LookupError, TypeError):
            continue
        if rest:
            _keep_text(value, text, rest)
        elif isinstance(text, str) and value is not None:
            tree[place] = text


def _fits(keys: Sequence[str], pattern: Keys) -> bool:
    return len(keys) == len(pattern) and all(b in ("*", a) for a, b in zip(keys, pattern))


def _quoted(value: str) -> str:
    """A path of an override as YAML; null, which takes a path back, and what is in quotes stay as they are."""
    from omegaconf import OmegaConf

    what = f"override {_short(value)!r}"
    try:
        read: Any = parse_yaml(f"it: {value}", what, _omegaconf)
        is_text = read["it"] is None or isinstance(OmegaConf.to_container(read)["it"], str)  # type: ignore[index,call-overload]
    except InputError:
        is_text = False
    return value if is_text else json.dumps(value)


def _put(tree: Any, keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {}) if isinstance(tree, dict) else None
    if isinstance(tree, dict):  # else a mistake of the recipe, which is named elsewhere
        tree[keys[-1]] = value


def _escaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return re.sub(r"(\\*)\$\{", lambda found: rf"{found[1]}{found[1]}\${{", value) if isinstance(value, str) else value


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
