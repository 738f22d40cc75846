"""Options that several verbs share, as dataclasses: a verb takes the group, the command line shows its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def with_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """Replace every parameter of a verb that is a dataclass of ``Annotated`` options by those options.

    A group may hold other groups, whose options come where they stand. The verb itself is called with the dataclass, as
    it says.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if _is_group(hint)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        if name in groups:
            parameters += _options(groups[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    def with_options(**values: Any) -> None:
        verb(**_gathered(values, groups))

    with_options.__name__, with_options.__doc__, with_options.__module__ = verb.__name__, verb.__doc__, verb.__module__
    # Where inspect, and so typer, looks first; the type of functions does not declare it.
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint)


def _options(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    options: list[inspect.Parameter] = []
    for field in fields(group):
        hint = hints[field.name]
        if _is_group(hint):
            options += _options(hint)
        else:
            options.append(inspect.Parameter(field.name, kind, default=field.default, annotation=hint))
    return options


def _gathered(values: dict[str, Any], groups: Mapping[str, type]) -> dict[str, Any]:
    made = {name: _made(group, values) for name, group in groups.items()}
    return {**values, **made}


def _made(group: type, values: dict[str, Any]) -> Any:
    """A group with its values, which are taken out of ``values``."""
    hints = get_type_hints(group, include_extras=True)
    own = {
        field.name: _made(hints[field.name], values) if _is_group(hints[field.name]) else values.pop(field.name)
        for field in fields(group)
    }
    return group(**own)
