"""What programs import: the names, their page, and that nobody is shown a deeper one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge_i2i
from benchmarks.docs import api_page

ROOT = Path(__file__).parents[1]

PUBLIC = {
    *("load", "Translator", "TranslatorInfo", "ConditionInputs", "Look", "Fit", "FeatureClusters"),
    *("translate_path", "TranslateSummary", "read_picture", "write_picture"),
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
    *("open_bundle", "Bundle", "TensorSpec", "verify_bundle", "Verdict", "EngineOptions"),
    *("EdgeI2IError", "UsageError", "OutputError", "MissingRequirementError", "BadInputError", "CheckpointError"),
    *("BundleError", "BundleOutputError", "PlanError", "GraphError", "GraphFileError", "PictureError"),
    *("BudgetError", "ParityError", "LiveError"),
    "__version__",
}
"""A name that goes from here is a break for those who use it: the changelog says so."""


def test_the_public_names() -> None:
    assert set(edge_i2i.__all__) == PUBLIC
    assert set(dir(edge_i2i)) >= PUBLIC - {"__version__"}
    for name in PUBLIC:
        assert getattr(edge_i2i, name) is not None


def test_a_name_that_is_not_there_is_said() -> None:
    name = "nonsense"
    with pytest.raises(AttributeError, match=name):
        getattr(edge_i2i, name)


def test_every_public_error_is_one_of_ours() -> None:
    errors = [getattr(edge_i2i, name) for name in PUBLIC if name.endswith("Error")]
    assert len(errors) == 15 and all(issubclass(error, edge_i2i.EdgeI2IError) for error in errors)


def test_the_page_tells_each_name_once_and_is_as_the_docstrings_are() -> None:
    told = [name for names in api_page.SECTIONS.values() for name in names]
    assert sorted(told) == sorted(PUBLIC - {"__version__"})
    assert api_page.PAGE.read_text(encoding="utf-8") == api_page.page(), "python -m benchmarks.docs.api_page"


@pytest.mark.parametrize("name", sorted(name for name in PUBLIC if name.islower() and not name.startswith("_")))
def test_every_public_function_shows_an_example_that_runs(name: str) -> None:
    told = getattr(edge_i2i, name).__doc__
    assert ">>> " in told and "+SKIP" not in told


def _shown() -> Iterator[tuple[Path, str]]:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "runtime").rglob("*.md"))]:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            yield page, block
    for sample in sorted((ROOT / "runtime" / "apps").glob("*.py")):
        yield sample, sample.read_text(encoding="utf-8")


def test_nobody_is_shown_a_deeper_name() -> None:
    deeper = [
        (page.name, *found) for page, code in _shown() for found in re.findall(r"(from|import) (edge_i2i\.\S+)", code)
    ]
    assert deeper == []


def test_no_public_name_is_a_rooms() -> None:
    """Whoever imports a file of that room would put the room in the name's place."""
    rooms = {path.stem for path in (ROOT / "edge_i2i").iterdir()}
    assert not set(edge_i2i.__all__) & rooms
