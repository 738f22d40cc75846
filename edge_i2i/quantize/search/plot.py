"""A sensitivity report as a picture: a bar a layer, the most sensitive on top."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_i2i.errors import BadInputError, OutputError
from edge_i2i.files.places import writing
from edge_i2i.files.whole import replacing
from edge_i2i.quantize.search.report import LayerSensitivity, SensitivityReport
from edge_i2i.requirements import installed_version, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

_MOST_BARS = 60
_INCHES_A_BAR, _INCHES_AROUND, _WIDTH = 0.24, 1.7, 8.0
_ROOM_DB, _HIGHEST_DB = 4.0, 100.0
_DOTS_PER_INCH = 150
_SMALL, _TITLE_WIDTH = 7.5, 90  # points, and letters
_LEFT_OUT, _BUDGET, _EDGE = "0.85", "#c1121f", "0.2"
_COLOURS = ("#eef5fb", "#8fc1e3", "#2f78b7")  # no darker, so that the hatching shows


def check_plot(path: Path) -> None:
    """Refuse, before the work, an ending that no picture can have here; without matplotlib nothing is known of them.

    Raises:
        OutputError: no plot can be drawn in the format of that ending.
    """
    if installed_version("matplotlib") is None:
        return
    require("matplotlib", extra="quantize", purpose="Plotting sensitivity")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    known = sorted(FigureCanvasAgg.get_supported_filetypes())
    if _format(path) not in known:
        raise OutputError(
            f"'{path}' cannot be written: no plot is drawn as '{path.suffix}'.",
            remedy=f"Give a file such as plot.png; known: {', '.join(known)}.",
        )


def _format(path: Path) -> str:
    return path.suffix.removeprefix(".").lower() or "png"


def plot_sensitivity(report: SensitivityReport, path: Path) -> None:
    """Draw the report into a PNG (or whatever the file's ending says).

    A bar grows with a layer's error: it ends at the PSNR of quantizing that layer alone. Colour is its share of the
    multiplications; hatched layers are those to keep in float, grey ones those that the target's rule leaves out. The
    line is the budget: a layer that crosses it breaks the budget by itself.

    Raises:
        MissingRequirementError: matplotlib is not installed.
        BadInputError: no layer was measured.
        OutputError: the file cannot be written.
    """
    require("matplotlib", extra="quantize", purpose="Plotting sensitivity")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers = [layer for layer in report.most_sensitive_first if layer.psnr_db is not None]
    if not layers:
        raise BadInputError("There is no measured layer to plot.")
    shown = layers[:_MOST_BARS]
    figure = Figure(figsize=(_WIDTH, _INCHES_AROUND + _INCHES_A_BAR * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _draw(axes, shown, report)
    _label(axes, report, len(layers) - len(shown))
    with writing(path, ValueError), replacing(path) as partial:
        figure.savefig(partial, dpi=_DOTS_PER_INCH, format=_format(path))


def _draw(axes: Axes, layers: Sequence[LayerSensitivity], report: SensitivityReport) -> None:
    values = [min(layer.psnr_db or 0.0, _HIGHEST_DB) for layer in layers]
    start = max(values) + _ROOM_DB
    colours = _colours(layers)
    painted = [tuple(colour) for colour in colours.to_rgba(np.array([100 * layer.macs_share for layer in layers]))]
    bars = axes.barh(
        range(len(layers)),
        [value - start for value in values],
        left=start,
        color=[_LEFT_OUT if layer.left_out else colour for layer, colour in zip(layers, painted, strict=True)],
        edgecolor=_EDGE,
        linewidth=0.5,
    )
    for place, (bar, layer, value) in enumerate(zip(bars, layers, values, strict=True)):
        bar.set_hatch("////" if layer.name in report.keep_float else "")
        axes.annotate(f"{value:.1f}", (value, place), (3, 0), textcoords="offset points", va="center", fontsize=_SMALL)
    axes.set_yticks(range(len(layers)), [layer.name for layer in layers], fontsize=_SMALL)
    axes.set_xlim(start, min([*values, report.min_psnr_db or min(values)]) - _ROOM_DB)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.figure.colorbar(colours, ax=axes, label="share of multiplications, %", shrink=0.6, aspect=25, pad=0.02)


def _colours(layers: Sequence[LayerSensitivity]) -> ScalarMappable:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    largest = max(layer.macs_share for layer in layers) or 1.0
    return ScalarMappable(Normalize(0.0, 100 * largest), LinearSegmentedColormap.from_list("macs", _COLOURS))


def _label(axes: Axes, report: SensitivityReport, left_off: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    kinds: list[Patch | Line2D] = [Patch(facecolor="white", edgecolor=_EDGE, label="INT8")]
    if report.keep_float:
        kinds.append(Patch(facecolor="white", edgecolor=_EDGE, hatch="////", label="suggested to stay in float"))
    if len(report.placed) < len(report.layers):
        kinds.append(
            Patch(facecolor=_LEFT_OUT, edgecolor=_EDGE, label=f"left in float by the rule for {report.target}")
        )
    if report.min_psnr_db is not None:
        axes.axvline(report.min_psnr_db, color=_BUDGET, zorder=1.5)
        kinds.append(Line2D([], [], color=_BUDGET, label=f"budget of the whole network, {report.min_psnr_db:g} dB"))
    axes.legend(handles=kinds, loc="lower right", fontsize=_SMALL, framealpha=0.95)
    axes.set_xlabel("PSNR to FP32 with this layer alone in INT8, dB (further right is worse)")
    more = f"; {left_off} less sensitive layers are not shown" if left_off else ""
    title = f"Sensitivity to INT8 for {report.target}, judged by {report.judged_by}{more}"
    axes.set_title(textwrap.fill(title, _TITLE_WIDTH), fontsize=10, loc="left")
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
