"""Read from a module's syntax tree which names of a foreign package it uses, so that no list is kept by hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ADAPTER = Path(__file__).resolve().parents[3] / "edge_i2i" / "engines" / "tensorrt" / "adapter.py"
PACKAGES = ("trt", "rtx")  # `trt`: in every product and version; `rtx`: in TensorRT-RTX


@dataclass(frozen=True)
class Use:
    """One use of a class or of a member of it; ``how`` is class, get, set or call."""

    package: str
    cls: str
    member: str
    how: str
    positional: int = 0
    keywords: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Kind:
    """What a variable holds: an object of a class, or with ``is_class`` the class itself."""

    package: str
    cls: str
    is_class: bool = False


class AdapterReader:
    """Collects every use in one module, and complains about what it cannot follow."""

    def __init__(self, source: str) -> None:
        self.tree = ast.parse(source)
        self.uses: set[Use] = set()
        self.unfollowed: list[str] = []
        self._read_classes_in_annotations()
        self._read_api_fields()
        for function, attributes in _functions(self.tree):
            _FunctionReader(self, function, attributes).read()

    def bridges(self) -> dict[str, list[tuple[str, list[str]]]]:
        """For each base class that ``type(name, (Bridge, self._api.Base), {})`` subclasses: the bridge's methods."""
        methods = {
            cls.name: [(f.name, [a.arg for a in f.args.args]) for f in cls.body if isinstance(f, ast.FunctionDef)]
            for cls in self.tree.body
            if isinstance(cls, ast.ClassDef)
        }
        found = {}
        for call in ast.walk(self.tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "type":
                bridge, base = call.args[1].elts  # type: ignore[attr-defined]
                found[base.attr] = methods[bridge.id]
        return found

    def _read_classes_in_annotations(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in PACKAGES:
                self.uses.add(Use(node.value.id, node.attr, "", "class", line=node.lineno))

    def _read_api_fields(self) -> None:
        api = next(node for node in self.tree.body if isinstance(node, ast.ClassDef) and node.name == "Api")
        for statement in api.body:
            if isinstance(statement, ast.AnnAssign):
                kind = _kind(statement.annotation)
                assert kind is not None and kind.cls == ast.unparse(statement.target), ast.unparse(statement)


class _FunctionReader:
    def __init__(self, reader: AdapterReader, function: ast.FunctionDef, attributes: dict[str, Kind]) -> None:
        self._reader = reader
        self._function = function
        self._attributes = attributes
        self._variables: dict[str, Kind] = {}
        self._unannotated: set[str] = set()

    def read(self) -> None:
        self._read_variables()
        calls = {id(node.func): node for node in ast.walk(self._function) if isinstance(node, ast.Call)}
        for node in ast.walk(self._function):
            if isinstance(node, ast.Attribute):
                self._read_attribute(node, calls.get(id(node)))

    def _read_variables(self) -> None:
        for argument in (*self._function.args.args, *self._function.args.kwonlyargs):
            self._declare(argument.arg, argument.annotation)
        for node in ast.walk(self._function):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                self._declare(node.target.id, node.annotation)
        for node in ast.walk(self._function):
            if isinstance(node, ast.Assign) and self._is_foreign_call(node.value):
                self._unannotated |= {name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)}

    def _declare(self, name: str, annotation: ast.expr | None) -> None:
        kind = _kind(annotation)
        if kind is not None:
            self._variables[name] = kind

    def _is_foreign_call(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and self._kind_of(node.func) is not None

    def _read_attribute(self, node: ast.Attribute, call: ast.Call | None) -> None:
        base = self._kind_of(node.value)
        if base is not None:
            self._record(base, node, call)
        elif call is not None and self._is_api_class(node):
            self._reader.uses.add(_use(Kind("trt", node.attr), "__init__", call, node))
        elif isinstance(node.value, ast.Name) and node.value.id in self._unannotated:
            self._complain(node, f"'{node.value.id}' comes from TensorRT: annotate it with its class")
        elif self._is_foreign_call(node.value):
            self._complain(node, "give the result of the call a variable with its class")

    def _record(self, base: Kind, node: ast.Attribute, call: ast.Call | None) -> None:
        if call is not None and not node.attr.startswith("__"):
            self._reader.uses.add(_use(base, node.attr, call, node))
            return
        how = "set" if isinstance(node.ctx, ast.Store) else "get"
        self._reader.uses.add(Use(base.package, base.cls, node.attr, how, line=node.lineno))

    def _kind_of(self, node: ast.expr) -> Kind | None:
        """What an expression holds: a declared variable, ``self.x``, ``self._api.X`` or ``self._module.X``."""
        if isinstance(node, ast.Name):
            return self._variables.get(node.id)
        if isinstance(node, ast.Attribute):
            if self._is_api_class(node):
                return Kind("trt", node.attr, is_class=True)
            if ast.unparse(node.value) == "self._module" and not node.attr.startswith("__"):
                self._reader.uses.add(Use("rtx", node.attr, "", "class", line=node.lineno))
                return Kind("rtx", node.attr, is_class=True)
            if ast.unparse(node.value) == "self":
                return self._attributes.get(node.attr)
            return self._kind_of(node.value)
        return None

    def _is_api_class(self, node: ast.Attribute) -> bool:
        return ast.unparse(node.value) == "self._api"

    def _complain(self, node: ast.AST, what: str) -> None:
        self._reader.unfollowed.append(f"{self._function.name}, line {getattr(node, 'lineno', 0)}: {what}")


def _use(base: Kind, member: str, call: ast.Call, node: ast.Attribute) -> Use:
    keywords = tuple(keyword.arg for keyword in call.keywords if keyword.arg is not None)
    return Use(base.package, base.cls, member, "call", len(call.args), keywords, node.lineno)


def _functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, dict[str, Kind]]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node, {}
        if isinstance(node, ast.ClassDef):
            methods = [method for method in node.body if isinstance(method, ast.FunctionDef)]
            attributes = {name: kind for method in methods for name, kind in _attributes_set_in(method)}
            yield from ((method, attributes) for method in methods)


def _attributes_set_in(method: ast.FunctionDef) -> Iterator[tuple[str, Kind]]:
    arguments = {argument.arg: _kind(argument.annotation) for argument in method.args.args}
    for node in ast.walk(method):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
            kind = _kind(node.annotation)
            if kind is not None:
                yield node.target.attr, kind
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and arguments.get(node.value.id):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    yield target.attr, arguments[node.value.id]  # type: ignore[misc]


def _kind(annotation: ast.expr | None) -> Kind | None:
    """``trt.X``, ``trt.X | None`` and ``type[trt.X]``; anything else is plain Python."""
    match annotation:
        case ast.Attribute(value=ast.Name(id=package), attr=cls) if package in PACKAGES:
            return Kind(package, cls)
        case ast.BinOp(left=left, op=ast.BitOr()):
            return _kind(left)
        case ast.Subscript(value=ast.Name(id="type"), slice=inner):
            kind = _kind(inner)
            return None if kind is None else Kind(kind.package, kind.cls, is_class=True)
    return None
