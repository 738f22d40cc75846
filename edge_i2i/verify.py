"""Does a bundle still give, on this engine and this machine, the pictures that it was exported with?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_i2i.bundle.golden import golden_input, golden_output
from edge_i2i.bundle.reader import Bundle
from edge_i2i.engines.choice import choose
from edge_i2i.engines.protocol import Array, EngineOptions
from edge_i2i.errors import BundleError, ParityError
from edge_i2i.graphs.parity import EXACT, REDUCED_PRECISION, Parity, Tolerance, compare
from edge_i2i.models.contract import GraphDeclaration


@dataclass(frozen=True)
class Verdict:
    """One variant on one engine against the reference outputs. ``problem`` is empty where it is within tolerance."""

    graph: str
    variant: str
    engine: str
    effective_precision: str
    parity: Parity
    problem: str

    @property
    def ok(self) -> bool:
        """Whether the variant is within its tolerance."""
        return not self.problem


def verify_bundle(bundle: Bundle, engine: str, variants: Iterable[str], options: EngineOptions) -> list[Verdict]:
    """Run the golden inputs of every graph through an engine and hold the outputs against the references.

    Raises:
        BundleError: the bundle has no golden data.
        MissingRequirementError: the engine cannot run here.
    """
    golden = bundle.golden()
    verdicts = []
    for declaration in (bundle.frame_graph, *bundle.condition_graphs):
        wanted = [name for name in bundle.variants(declaration.name) if not variants or name in variants]
        verdicts += [_verify(bundle, declaration, variant, engine, options, golden) for variant in wanted]
    return verdicts


def _verify(
    bundle: Bundle,
    declaration: GraphDeclaration,
    variant: str,
    engine: str,
    options: EngineOptions,
    golden: dict[str, Array],
) -> Verdict:
    choice = choose(bundle, declaration.name, engine, variant, options)
    samples, references = _samples(bundle, declaration, golden)
    with choice.engine.load(choice.graph, options) as session:
        results = [session.run(sample) for sample in samples]
        info = session.info
    parity = compare(f"{variant} on {info.engine}", info.engine, references, results)
    tolerance = EXACT if choice.graph.precision == "fp32" else REDUCED_PRECISION
    return Verdict(
        declaration.name,
        variant,
        info.engine,
        info.effective_precision,
        parity,
        _problem(parity, tolerance, declaration),
    )


def _problem(parity: Parity, tolerance: Tolerance, declaration: GraphDeclaration) -> str:
    try:
        parity.check(tolerance, declaration.name)
    except ParityError as error:
        return error.what
    return ""


def _samples(
    bundle: Bundle, declaration: GraphDeclaration, golden: dict[str, Array]
) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
    names = [spec.name for spec in declaration.outputs]
    samples: list[dict[str, Array]] = []
    references: list[dict[str, Array]] = []
    while golden_output(declaration.name, len(samples), names[0]) in golden:
        index = len(samples)
        references.append({name: golden[golden_output(declaration.name, index, name)] for name in names})
        samples.append({s.name: golden[golden_input(declaration.name, index, s.name)] for s in declaration.inputs})
    if not samples:
        raise BundleError(
            f"{bundle.path} has no golden data for the graph '{declaration.name}'.", remedy="Export it again."
        )
    return samples, references
