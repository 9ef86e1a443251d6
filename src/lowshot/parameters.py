"""The keyword parameters of a function or class, and the mistakes in values that a recipe gives for them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from lowshot.errors import did_you_mean


def keyword_parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters that ``factory`` accepts by keyword, by name."""
    keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(factory).parameters
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in keyword}


def parameter_mistakes(factory: Callable[..., Any], values: Mapping[str, Any], called: str) -> list[str]:
    """Check values for the parameters of ``factory`` against its names and annotations, without calling it.

    A factory that takes ``**kwargs`` is not checked: it may hand them on to anything. Neither is a parameter without an
    annotation, or with one that pydantic knows nothing about.

    Args:
        factory (callable): The function or class that the values are for.
        values (mapping of str to object): The values by parameter.
        called (str): The name of the factory in messages, such as ``loss 'sgm'``.

    Returns:
        list of str: One line for each mistake; empty where there is none.
    """
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(factory).parameters.values()):
        return []
    known, types = keyword_parameters(factory), _annotations(factory)
    unknown = [
        f"{called} has no parameter {name!r}. {did_you_mean(name, known)}" for name in values if name not in known
    ]
    return unknown + [
        f"{called}, parameter {name!r}: {mistake}, got {value!r}"
        for name, value in values.items()
        if name in known and name in types and (mistake := _type_mistake(types[name], value)) is not None
    ]


def _annotations(factory: Callable[..., Any]) -> dict[str, Any]:
    """The types of a factory's parameters; empty where its annotations cannot be resolved."""
    function = getattr(factory, "func", factory)  # of a functools.partial, the function inside
    try:
        return typing.get_type_hints(function.__init__ if inspect.isclass(function) else function)
    except (NameError, TypeError):
        return {}


def _type_mistake(annotation: Any, value: Any) -> str | None:
    """Return pydantic's reason to refuse a value for a type, or None."""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

    try:
        TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        return "; ".join(dict.fromkeys(mistake["msg"][0].lower() + mistake["msg"][1:] for mistake in error.errors()))
    except PydanticUserError:  # a type that pydantic knows nothing about
        return None
    return None
