"""Small files of YAML and JSON from strangers: read at a cost that their size bounds."""

from __future__ import annotations

import json
from pathlib import Path

LARGEST_FILE = 1 << 20  # bytes; a sensitivity recipe of a hundred layers has some forty thousand
_DEEPEST = 50
_LONGEST_SCALAR = 1000  # characters, of a number or a text
_MOST_NODES = 20_000


class PlainFileError(ValueError):
    """A file cannot be read; the text goes on behind its name: "is not YAML: …"."""


def read_yaml(path: Path) -> object:
    """What a YAML file holds: dicts, lists and plain values.

    Raises:
        PlainFileError: it cannot be read, is not YAML, or is nested, long or repeated (by aliases) beyond any recipe.
    """
    import yaml

    text = _read_text(path)
    try:
        _check_events(text)
        value: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PlainFileError(f"is not YAML: {error}") from error
    except PlainFileError:
        raise
    except (ValueError, RecursionError) as error:  # a date that is none, a number of thousands of digits
        raise PlainFileError(f"holds a value that cannot be read: {_first_line(error)}") from error
    return value


def read_json(path: Path) -> object:
    """What a JSON file holds.

    Raises:
        PlainFileError: it cannot be read, is not JSON, or is nested beyond any recipe.
    """
    try:
        value: object = json.loads(_read_text(path))
    except PlainFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise PlainFileError(f"is not JSON: {_first_line(error)}") from error
    return value


def _read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise PlainFileError("cannot be read: it is no file")
        if path.stat().st_size > LARGEST_FILE:
            raise PlainFileError(f"is refused: it has more than {LARGEST_FILE:,} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlainFileError(f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PlainFileError(f"cannot be read: it is not UTF-8 ({error})") from error


def _check_events(text: str) -> None:
    """Hold YAML against the limits before anything is made of it; an alias counts as what it stands for."""
    import yaml

    open_nodes: list[tuple[str | None, int]] = []  # anchors of the nodes around, and how many nodes came before each
    sizes: dict[str, int] = {}
    count = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            sizes |= {anchor: count - before} if anchor else {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes and any(event.anchor == anchor for anchor, _ in open_nodes):
                raise PlainFileError(f"is refused: *{str(event.anchor)[:80]} stands inside itself")
            count += sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if len(event.value) > _LONGEST_SCALAR:
                raise PlainFileError(f"is refused: a value in it is longer than {_LONGEST_SCALAR} characters")
        if len(open_nodes) > _DEEPEST:
            raise PlainFileError(f"is refused: it is nested more than {_DEEPEST} deep")
        if count > _MOST_NODES:
            raise PlainFileError(f"is refused: it holds more than {_MOST_NODES:,} values, repeated ones counted")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
