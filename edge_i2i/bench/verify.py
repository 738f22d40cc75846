"""Does a bundle still give, on this engine and this machine, the pictures that it was exported with?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from edge_i2i.arrays import Array
from edge_i2i.bundle.golden import GOLDEN_PSNR, GoldenSample
from edge_i2i.bundle.reader import Bundle
from edge_i2i.contract import GraphDeclaration
from edge_i2i.engines.choice import AUTO, Choice, choose
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.errors import BundleError, MissingRequirementError, ParityError, UsageError, known_names
from edge_i2i.metrics.parity import EXACT, REDUCED_PRECISION, Parity, Tolerance, compare

LOWEST_PSNR_DB = 40.0
"""What a variant below FP16 has to reach on the golden inputs where the bundle does not state what it reached there."""
STATED_PSNR_MARGIN_DB = 1.0
"""Between what was stated and what is found here: another version of an engine, another processor."""

_QUANTIZED = ("int8", "mixed")

OnSkip = Callable[[str, str, str], None]
"""Called with a graph, a variant that was not verified, and why."""


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


def _say_nothing(graph: str, variant: str, reason: str) -> None:
    """Take no notice of what is skipped: the default of ``on_skip``."""


def verify_bundle(
    bundle: Bundle, engine: str, variants: Collection[str], options: EngineOptions, on_skip: OnSkip = _say_nothing
) -> list[Verdict]:
    """Run the golden inputs of every graph through an engine and hold the outputs against the references.

    A variant that was quantized for other engines than the one that runs, or than those that can run here, or judged in
    float arithmetic that this processor lacks, is skipped, unless it was asked for by name.

    Args:
        bundle: the open bundle; its golden data hold inputs and references.
        engine: an engine's name, or ``auto`` to have one chosen for each variant.
        variants: the names of those to verify; empty: all.
        options: threads, the folder of built engines, and the float arithmetic; None there: what each variant was
            judged in.
        on_skip: told of each variant that is skipped, and why.

    Raises:
        UsageError: the bundle has no such variant, or there is no such engine.
        BundleError: the bundle has no golden data.
        MissingRequirementError: the engine cannot run here.
        GraphError: a variant that was asked for was quantized for other engines.
        UsageError: the engine cannot be told to compute in the float arithmetic that was asked for.

    Example:
        >>> import edge_i2i
        >>> bundle = edge_i2i.open_bundle("city.i2i")
        >>> verdicts = edge_i2i.verify_bundle(bundle, "onnxruntime", (), edge_i2i.EngineOptions(threads=1))
        >>> [(verdict.graph, verdict.problem) for verdict in verdicts if verdict.graph == "frame"]
        [('frame', '')]
    """
    check_names(bundle, engine, variants)
    graphs = (bundle.frame_graph, *bundle.condition_graphs)
    golden = bundle.golden_samples()
    verdicts = []
    for declaration in graphs:
        for variant in bundle.variants(declaration.name):
            if variants and variant not in variants:
                continue
            reason = "" if variant in variants else _skipped_because(bundle, declaration.name, engine, variant, options)
            if reason:
                on_skip(declaration.name, variant, reason)
            else:
                choice = choose(bundle, declaration.name, engine, variant, options)
                verdicts.append(_verify(bundle, declaration, choice, golden[declaration.name]))
    return verdicts


def check_names(bundle: Bundle, engine: str, variants: Collection[str]) -> None:
    """Refuse an engine or variants that do not exist.

    Args:
        bundle: the open bundle, whose variants of all graphs count.
        engine: an engine's name, or ``auto``.
        variants: names of variants; none is right, too.

    Raises:
        UsageError: one of them does not exist; names those that do.
    """
    if engine != AUTO:
        get_engine(engine)
    graphs = (bundle.frame_graph, *bundle.condition_graphs)
    known = list(dict.fromkeys(name for graph in graphs for name in bundle.variants(graph.name)))
    for variant in variants:
        if variant not in known:
            raise UsageError(
                f"The bundle '{bundle.path}' has no variant '{variant}'.",
                remedy=known_names(variant, known, "variants"),
            )


def _skipped_because(bundle: Bundle, graph: str, engine: str, variant: str, options: EngineOptions) -> str:
    """Why a quantized variant is passed over; empty where it is not."""
    source = bundle.graph(graph, variant)
    told = f"it was quantized for {' and '.join(source.targets)}"
    if engine != AUTO:
        chosen = get_engine(engine)
        if not chosen.reads(source):
            return told
        return chosen.lacks(source, options) if chosen.availability().ok else ""
    if not source.targets:
        return ""
    try:
        choose(bundle, graph, engine, variant, options)
    except MissingRequirementError as error:
        return f"{told}. {error.what}"
    return ""


def _verify(bundle: Bundle, declaration: GraphDeclaration, choice: Choice, golden: Sequence[GoldenSample]) -> Verdict:
    samples, references = checked_samples(bundle, declaration.name, golden)
    with choice.load() as session:
        results = [session.run(sample) for sample in samples]
        info = session.info
    parity = compare(f"{choice.graph.variant} on {info.engine}", info.engine, references, results)
    tolerance = _tolerance(bundle, declaration.name, choice)
    return Verdict(
        declaration.name,
        choice.graph.variant,
        info.engine,
        info.effective_precision,
        parity,
        _problem(parity, tolerance, declaration),
    )


def _tolerance(bundle: Bundle, graph: str, choice: Choice) -> Tolerance:
    """What a variant may differ by: rounding in FP32 and FP16, and what was measured of it where it is narrower.

    By what was asked for and judged, never by what a processor happens to offer.
    """
    asked = choice.options.precision or choice.engine.runs_in(choice.graph)
    if choice.graph.precision not in _QUANTIZED and asked != "bf16":
        exact = choice.graph.precision == "fp32" and asked in (None, "fp32")
        return EXACT if exact else REDUCED_PRECISION
    stated = _stated_psnr_db(bundle, graph, choice, asked)
    limit = LOWEST_PSNR_DB if stated is None else stated - STATED_PSNR_MARGIN_DB
    return replace(REDUCED_PRECISION, psnr_db=limit)


def _stated_psnr_db(bundle: Bundle, graph: str, choice: Choice, asked: str | None) -> float | None:
    """What the bundle states of a variant on its golden inputs, if it does.

    What speaks of the arithmetic that was ``asked`` for counts first, then what speaks of this engine; of several, the
    worst. So an arithmetic that was never judged is held to what was.
    """
    told = [
        (record.precision in (asked, None), record.engine == choice.engine.name, record.figures[GOLDEN_PSNR])
        for record in bundle.evidence("quality", graph)
        if record.variant == choice.graph.variant and GOLDEN_PSNR in record.figures
    ]
    best = max((fits[:2] for fits in told), default=None)
    return min((psnr_db for *fits, psnr_db in told if tuple(fits) == best), default=None)


def _problem(parity: Parity, tolerance: Tolerance, declaration: GraphDeclaration) -> str:
    try:
        parity.check(tolerance, declaration.name)
    except ParityError as error:
        return error.what
    return ""


def checked_samples(
    bundle: Bundle, graph: str, samples: Sequence[GoldenSample]
) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
    """The example inputs of one graph, and the reference outputs of each, as far as there are references.

    Args:
        bundle: named in the error.
        graph: its name.
        samples: those of the graph in what ``Bundle.golden_samples`` returned.

    Raises:
        BundleError: there are none, or they are not as declared.
    """
    inputs: list[dict[str, Array]] = []
    references: list[dict[str, Array]] = []
    for sample in takewhile(lambda sample: sample.declaration.outputs[0].name in sample.outputs, samples):
        references.append(sample.all_outputs())
        inputs.append(sample.all_inputs())
    if not inputs:
        raise BundleError(f"{bundle.path} has no golden data for the graph '{graph}'.", remedy="Export it again.")
    return inputs, references
