"""The gate: a graph out of a stranger's file is held against its declaration before any engine sees it.

Engines trust their graphs. Some read files that a graph names, follow indices wherever they lead, and allocate what a
graph asks for. So a graph has to be provably harmless: only operators and attributes that we write ourselves, every
shape, index and amount known before it runs, every value of the type that its operator takes, and no more memory and
work than a network of the declared size needs.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_i2i.contract import GraphDeclaration, TensorSpec
from edge_i2i.errors import GraphFileError
from edge_i2i.gate.facts import Fact, Given, Outcome, RuleError
from edge_i2i.gate.limits import GraphCost, Limits
from edge_i2i.gate.onnx_file import MOST_DIMENSIONS, Border, Node, OnnxFile, read_onnx, shown
from edge_i2i.gate.rules import RULES
from edge_i2i.gate.vocabulary import vocabulary
from edge_i2i.gate.wire import WireError

DEFAULT_LIMITS = Limits()
_UNPACKED = 4  # bytes that a quantized weight takes in FP32
_REMEDY = (
    "Do not use this file; export the network again with 'edge-i2i export', or get it from a source that you trust."
)


def check_graph(
    data: bytes, declaration: GraphDeclaration, limits: Limits = DEFAULT_LIMITS, *, where: str = ""
) -> GraphCost:
    """Admit an ONNX file for every engine, or refuse it. Weights are not copied; nothing is run.

    Args:
        data: the very bytes that an engine will be given.
        declaration: what goes in and comes out.
        limits: how much memory and work a run may take.
        where: what messages say behind the graph's name.

    Returns:
        What one run takes.

    Raises:
        GraphFileError: the file is no graph of this declaration, or not one that is known to be harmless.
    """
    try:
        return _Walk(read_onnx(data), declaration, limits).run()
    except (WireError, RuleError) as error:
        raise GraphFileError(f"The graph '{declaration.name}'{where} is refused: {error}.", remedy=_REMEDY) from error


class _Walk:
    """One pass over the nodes, which is what a run would do, without the numbers."""

    def __init__(self, file: OnnxFile, declaration: GraphDeclaration, limits: Limits) -> None:
        self.file, self.declaration = file, declaration
        self.most_nodes = limits.nodes
        self.facts: dict[str, Fact] = {}
        self.cost = _Cost(limits.memory(declaration), limits.work(declaration), file)

    def run(self) -> GraphCost:
        _check_versions(self.file)
        _check_border("input", self.file.inputs, self.declaration.inputs)
        _check_border("output", self.file.outputs, self.declaration.outputs)
        if len(self.file.nodes) > self.most_nodes:
            raise RuleError(f"it has {len(self.file.nodes):,} nodes; at most {self.most_nodes:,} are accepted")
        for spec in self.declaration.inputs:
            self._define(spec.name, Fact(spec.dtype.value, spec.shape))
        for weight in self.file.weights:
            self._define(weight.name, Fact(weight.dtype, weight.shape, weight.array))
        for index, node in enumerate(self.file.nodes):
            self._visit(index, node)
        self._check_values()
        return GraphCost(len(self.file.nodes), self.cost.peak, self.cost.work)

    def _visit(self, index: int, node: Node) -> None:
        """Check one node, and note what it gives and costs."""
        given = Given(node, tuple(self._read(name, node) for name in node.inputs))
        try:
            _check_word(node)
            outcome = RULES[node.operator](given)
            _check_outcome(node, outcome)
            self.cost.add(index, node, outcome)
        except RuleError as error:
            raise RuleError(f"its node {node} {error}") from error
        for name, fact in zip(node.outputs, outcome.outputs, strict=False):
            self._define(name, fact)

    def _read(self, name: str, node: Node) -> Fact | None:
        if not name:
            return None
        if name not in self.facts:
            raise RuleError(f"its node {node} reads {shown(name)}, which nothing before it gives")
        return self.facts[name]

    def _define(self, name: str, fact: Fact) -> None:
        if not name or name in self.facts:
            raise RuleError(f"it has two values called {shown(name)}" if name else "it has a value without a name")
        self.facts[name] = fact

    def _check_values(self) -> None:
        """What the file says of its values is true: engines plan their memory by it. What nothing gives, they skip."""
        given = {name for node in self.file.nodes for name in node.outputs}
        missing = [border.name for border in self.file.outputs if border.name not in given]
        if missing:
            raise RuleError(f"it has the output {shown(missing[0])}, which no node gives")
        for border in (*self.file.outputs, *self.file.values):
            fact = self.facts.get(border.name)
            if fact is not None and (border.dtype not in (None, fact.dtype) or not _fits(border.shape, fact.shape)):
                raise RuleError(
                    f"it says that {shown(border.name)} is {_told(border.dtype, border.shape)}, "
                    f"and it is {_told(fact.dtype, fact.shape)}"
                )


class _Cost:
    """Memory that is alive at once, and work, both held against what the declared size allows."""

    def __init__(self, most_memory: int, most_work: int, file: OnnxFile) -> None:
        self._most_memory, self._most_work, self._last_uses = most_memory, most_work, _last_uses(file)
        self._fixed = {weight.name for weight in file.weights}
        self._most_kept = most_memory + _UNPACKED * sum(weight.array.nbytes for weight in file.weights)
        self._alive: dict[str, int] = {}
        self._memory = self._kept = self.peak = self.work = 0

    def add(self, index: int, node: Node, outcome: Outcome) -> None:
        """A node runs, and what nothing reads any more is freed behind it."""
        for name, fact in zip(node.outputs, outcome.outputs, strict=False):
            self._alive[name] = fact.bytes
            self._memory += fact.bytes
            self.work += fact.size
        self.work += outcome.work
        self.peak = max(self.peak, taken := self._memory + outcome.scratch)
        if taken > self._most_memory:
            raise RuleError(f"takes {taken:,} bytes; at its size {self._most_memory:,} are accepted")
        if self.work > self._most_work:
            raise RuleError(f"brings it to {self.work:,} multiplications; {self._most_work:,} are accepted")
        self._keep(node, outcome)
        for name in {*node.inputs, *node.outputs}:
            if self._last_uses.get(name) == index:
                self._memory -= self._alive.pop(name, 0)

    def _keep(self, node: Node, outcome: Outcome) -> None:
        """What is computed from weights alone, engines compute once and keep, all of it at once."""
        if not self._fixed.issuperset(filter(None, node.inputs)):
            return
        self._fixed.update(node.outputs)
        self._kept += sum(fact.bytes for fact in outcome.outputs)
        if self._kept > self._most_kept:
            raise RuleError(
                f"brings what is computed from weights to {self._kept:,} bytes; {self._most_kept:,} are accepted"
            )


def _last_uses(file: OnnxFile) -> dict[str, int]:
    """Behind which node a value is not needed any more; outputs are needed to the end."""
    uses = {name: i for i, node in enumerate(file.nodes) for name in (*node.outputs, *node.inputs)}
    return uses | {border.name: len(file.nodes) for border in file.outputs}


def _check_versions(file: OnnxFile) -> None:
    words = vocabulary()
    foreign = [domain for domain, _ in file.opsets if domain]
    if foreign:
        raise RuleError(f"it uses operators of the domain {shown(foreign[0])}")
    versions = [version for _, version in file.opsets]
    if file.ir_version not in words.ir_versions or len(versions) != 1 or versions[0] not in words.opsets:
        raise RuleError(f"it is written in version {file.ir_version} of ONNX with the operator sets {versions[:4]}")


def _check_word(node: Node) -> None:
    word = vocabulary().operators.get(node.operator)
    if node.domain or word is None or node.operator not in RULES:
        raise RuleError("is of a kind that is not allowed")
    if complaint := word.complaint(node):
        raise RuleError(complaint)


def _check_outcome(node: Node, outcome: Outcome) -> None:
    if len(outcome.outputs) < len(node.outputs):
        raise RuleError(f"has {len(node.outputs)} outputs")
    for fact in outcome.outputs:
        if len(fact.shape) > MOST_DIMENSIONS or any(side < 1 for side in fact.shape):
            raise RuleError(f"gives a value of the shape {list(fact.shape)[: 2 * MOST_DIMENSIONS]}")


def _check_border(kind: str, borders: Sequence[Border], specs: Sequence[TensorSpec]) -> None:
    """Inputs or outputs are those of the declaration, by name, type and shape; in any order."""
    found = {border.name: border for border in borders}
    if len(found) != len(borders) or found.keys() != {spec.name for spec in specs}:
        names, declared = (", ".join(shown(item.name) for item in items[:8]) for items in (borders, specs))
        raise RuleError(f"its {kind}s are {names or 'none'}, and declared are {declared or 'none'}")
    for spec in specs:
        border = found[spec.name]
        if any(side < 1 for side in spec.shape):
            raise RuleError(f"its {kind} {shown(spec.name)} has no fixed size")
        if (border.dtype, border.shape) != (spec.dtype.value, spec.shape):
            raise RuleError(
                f"its {kind} {shown(spec.name)} is {_told(border.dtype, border.shape)}, "
                f"and declared is {_told(spec.dtype.value, spec.shape)}"
            )


def _fits(stated: Sequence[int | None] | None, shape: Sequence[int]) -> bool:
    if stated is None:
        return True
    pairs = zip(stated, shape, strict=False)
    return len(stated) == len(shape) and all(side in (None, known) for side, known in pairs)


def _told(dtype: str | None, shape: Sequence[int | None] | None) -> str:
    sides = "…" if shape is None else ", ".join("?" if side is None else str(side) for side in shape)
    return f"{dtype or 'untyped'}[{sides}]"
