"""docs/api.md, from the docstrings of what `edge_i2i` hands out: python -m benchmarks.docs.api_page.

tests/test_api.py says when the page is older than the docstrings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import griffe

from benchmarks.docs.pages import write_page
from benchmarks.figures import ROOT

PAGE = ROOT / "docs" / "api.md"

SECTIONS: dict[str, tuple[str, ...]] = {
    "Run a bundle": (
        *("load", "Translator", "TranslatorInfo", "ConditionInputs", "Look", "Fit", "FeatureClusters"),
        *("translate_path", "TranslateSummary", "read_picture", "write_picture"),
    ),
    "Run live": (
        *(
            "open_session",
            "LiveSession",
            "Policy",
            "Mode",
            "PicturePathOptions",
            "Result",
            "Origin",
            "Frame",
            "Picture",
            "Array",
        ),
        *("StatsSnapshot", "Change", "Event", "EventKind", "serve", "Server"),
    ),
    "Make a bundle": (
        *(
            "load_checkpoint",
            "load_demo",
            "load_random",
            "LoadedModel",
            "export_bundle",
            "ExportOptions",
            "ExportSummary",
            "Size",
        ),
        *("quantize_bundle", "QuantizeJob", "CalibrationOptions", "QuantizeSummary"),
    ),
    "Look into a bundle": ("open_bundle", "Bundle", "TensorSpec", "verify_bundle", "Verdict", "EngineOptions"),
    "Errors": (
        *("EdgeI2IError", "UsageError", "OutputError", "MissingRequirementError", "BadInputError", "CheckpointError"),
        *("BundleError", "BundleOutputError", "PlanError", "GraphError", "GraphFileError", "PictureError"),
        *("BudgetError", "ParityError", "LiveError"),
    ),
}

_MADE_BY = {"Translator": "load", "Bundle": "open_bundle", "Server": "serve", "Change": "LiveSession"}
"""Classes that programs get, and do not make."""

_HEAD = """# What programs import

Everything that programs embed is an attribute of `edge_i2i`; names deeper in the package may move. Nothing is imported
before it is used. Pictures are RGB, uint8 `[H, W, 3]`; sizes are height first; times are seconds, unless a name ends in
`_ms`.

*Made from the docstrings by `python -m benchmarks.docs.api_page`; their examples run as tests.*
"""
_LONGEST = 100  # characters of a signature in one line
_EXAMPLE = re.compile(r"^>>> ", re.MULTILINE)


def page() -> str:
    """The whole page."""
    package = griffe.load("edge_i2i", search_paths=[ROOT], docstring_parser="google")
    links = {name: f"[`{name}`](#{name.lower()})" for names in SECTIONS.values() for name in names}
    contents = "\n".join(f"- {title}: {', '.join(links[name] for name in names)}" for title, names in SECTIONS.items())
    parts = [_HEAD, contents]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}")
        parts += [text for name in names for text in _entry(package[name])]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _entry(item: griffe.Object | griffe.Alias, prefix: str = "") -> Iterator[str]:
    yield f"{'####' if prefix else '###'} {prefix}{item.name}"
    if signature := _signature(item):
        yield f"```python\n{signature}\n```"
    if item.name in _MADE_BY:
        yield f"`{_MADE_BY[item.name]}` gives it."
    if _is_error(item):
        yield f"A kind of {' and '.join(f'`{base}`' for base in item.bases)}."
    yield from _told(item)
    if item.is_class:
        yield from _fields(item)
        for member in item.members.values():
            if member.docstring is not None and _is_call(member):
                yield from _entry(member, f"{item.name}.")


def _is_call(member: griffe.Object | griffe.Alias) -> bool:
    return member.is_function and (member.name == "__call__" or not member.name.startswith("_"))


def _told(item: griffe.Object | griffe.Alias) -> Iterator[str]:
    for section in item.docstring.parsed if item.docstring is not None else ():
        kind = section.kind
        if kind is griffe.DocstringSectionKind.text:
            yield from _prose(section.value)
        elif kind is griffe.DocstringSectionKind.examples:
            yield from (f"```python\n{_plain(text)}\n```" for _, text in section.value)
        elif kind is griffe.DocstringSectionKind.parameters:
            yield _list((f"`{one.name}`", one.description) for one in section.value)
        elif kind is griffe.DocstringSectionKind.raises:
            yield "Raises:"
            yield _list((f"`{str(one.annotation).strip('()')}`", one.description) for one in section.value)


def _prose(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n{2,}", text):
        if _EXAMPLE.match(paragraph):
            yield f"```python\n{_plain(paragraph)}\n```"
        else:
            yield paragraph.replace("``", "`")


def _plain(example: str) -> str:
    return re.sub(r"\s+# doctest: .*", "", example)


def _list(entries: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {' '.join(text.split()).replace('``', '`')}" for name, text in entries)


def _fields(item: griffe.Object | griffe.Alias) -> Iterator[str]:
    """What an object of a class holds beside its parameters: an enumeration's values, properties."""
    shown = {one.name for one in item.parameters} if _signature(item) else set()
    held = [one for one in item.members.values() if one.is_public and one.is_attribute and one.name not in shown]
    if held:
        yield "\n".join(map(_field, held))


def _field(one: griffe.Object | griffe.Alias) -> str:
    value = f" = {_text(one.value)}" if one.value is not None and "self." not in _text(one.value) else ""
    told = f": {one.docstring.value.splitlines()[0]}" if one.docstring is not None else ""
    return f"- `{one.name}{value}`{told}".replace("``", "`")


def _signature(item: griffe.Object | griffe.Alias) -> str:
    if item.is_function:
        return _call(item.name, item.parameters, f" -> {_text(item.returns)}" if item.returns is not None else "")
    if item.is_class:
        parameters = [one for one in item.parameters if one.name != "self"]
        is_plain = _is_error(item) or "Enum" in " ".join(map(str, item.bases))
        is_plain = is_plain or item.name in _MADE_BY or not parameters
        return "" if is_plain else _call(item.name, item.parameters, "")
    return f"{item.name} = {_text(item.value)}"


def _is_error(item: griffe.Object | griffe.Alias) -> bool:
    return bool(item.is_class and item.bases and item.name.endswith("Error"))


def _call(name: str, parameters: griffe.Parameters, returns: str) -> str:
    shown = list(_parameters(parameters))
    line = f"{name}({', '.join(shown)}){returns}"
    if len(line) <= _LONGEST:
        return line
    return f"{name}(\n" + "".join(f"    {one},\n" for one in shown) + f"){returns}"


def _parameters(parameters: griffe.Parameters) -> Iterator[str]:
    starred = False
    for one in parameters:
        if one.name == "self" or one.name == "cls":
            continue
        if one.kind is griffe.ParameterKind.keyword_only and not starred:
            starred = True
            yield "*"
        starred = starred or one.kind is griffe.ParameterKind.var_positional
        stars = {griffe.ParameterKind.var_keyword: "**", griffe.ParameterKind.var_positional: "*"}.get(one.kind, "")
        type_ = f": {_text(one.annotation)}" if one.annotation is not None else ""
        default = f" = {_text(one.default)}" if one.default is not None and not stars else ""
        yield f"{stars}{one.name}{type_}{default}"


def _text(expression: object) -> str:
    """Source text, with the value of a constant in place of its name."""
    if isinstance(expression, griffe.ExprName) and expression.name.isupper():
        return str(expression.resolved.value)
    return str(expression)


def main() -> None:
    """Write the page anew."""
    write_page(PAGE, page, __doc__ or "")


if __name__ == "__main__":
    main()
