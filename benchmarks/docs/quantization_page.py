"""Fill the tables of docs/quantization.md from the JSON files that the measuring commands left.

Example: python -m benchmarks.docs.quantization_page
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.docs.pages import Tables, filled, read, table, write_page
from benchmarks.figures import ROOT

PAGE = ROOT / "docs" / "quantization.md"

OPENVINO_TOOLS = {"NNCF default": "NNCF default, OpenVINO", "ONNX Runtime default": "ONNX Runtime default"}
TENSORRT_TOOLS = {
    "NNCF default, legalised": "NNCF default, legalised for TensorRT",
    "ONNX Runtime default, legalised": "ONNX Runtime default, legalised for TensorRT",
    "NNCF default, unlegalised": "NNCF default, as TensorRT reads it",
}


def page() -> str:
    """The whole page, with its tables made anew."""
    return filled(PAGE, TABLES)


def quality(ours: str, tools: dict[str, str]) -> str:
    """Ours beside the tools' defaults: their variants, by what stands above their columns."""
    data = read("docs/figures/quantization.json")
    rows = [
        (
            row["network"],
            *(made(row["variants"][ours]) for made in (cell, picture, layers)),
            *(cell(row["variants"][variant]) for variant in tools.values()),
        )
        for row in data["rows"]
    ]
    return table(("network", "ours: dB / SSIM", "grey levels, flicker", "INT8 + float layers", *tools), rows, data)


def cell(figures: dict[str, Any]) -> str:
    """PSNR and SSIM; a dash where the tool failed."""
    return "–" if "failed" in figures else f"{figures['psnr_db']:.1f} / {figures['ssim']:.4f}"


def picture(figures: dict[str, Any]) -> str:
    """Share of grey levels, and the change of flicker."""
    return f"{figures['grey_levels_ratio']:.0%}, {figures['flicker_ratio'] - 1:+.1%}"


def layers(figures: dict[str, Any]) -> str:
    """How many layers are in INT8 and in float; how many of these for the budget, and what that costs."""
    text = f"{figures['int8_layers']} + {figures['float_layers']}"
    kept = figures["float_for_the_budget"]
    if kept:
        price = "" if figures["price_ms"] is None else f", {figures['price_ms']:+.1f} ms"
        text += f" ({len(kept)} for the budget: {figures['all_int8_psnr_db']:.1f} dB without{price})"
    return text if figures["meets_budget"] else f"{text}; misses the budget"


def openvino_speed() -> str:
    """Every network on OpenVINO."""
    data = read("docs/figures/quantization.json")
    labels = ("onnxruntime fp32", "openvino fp32", "openvino int8, ours", "openvino int8, NNCF default")
    rows = [
        (
            row["network"],
            row["size"],
            f"{row['latency_ms'][labels[0]]['p50_ms']:.0f}",
            *(f"{row['latency_ms'][name]['speed_to_onnxruntime_fp32']:.2f}×" for name in labels[1:]),
        )
        for row in data["rows"]
    ]
    head = (
        "network",
        "size",
        "ONNX Runtime FP32, ms",
        "OpenVINO FP32",
        "OpenVINO INT8, ours",
        "OpenVINO INT8, NNCF default",
    )
    return table(head, rows, data)


def full_size_speed() -> str:
    """Full-size pix2pixHD: `auto` against a raw call."""
    data = read("docs/figures/quantized-speed.json")
    rows = [
        (
            row["size"],
            name,
            f"{row['latency_ms'][name]['p50_ms']:.0f}",
            spread(row["speed_to_onnxruntime_fp32"][name]),
            spread(row["auto_to_raw_default"]) if name == "auto" else "",
        )
        for row in data["rows"]
        for name in row["latency_ms"]
    ]
    return table(("size", "", "p50, ms", "to ONNX Runtime FP32", "`auto` to the raw call"), rows, data)


def full_size_cost() -> str:
    """Time and memory of `edge-i2i quantize`."""
    data = read("docs/figures/quantized-speed.json")
    rows = [
        (
            row["size"],
            f"{row['quantize']['frames']}",
            f"{row['quantize']['seconds']:.0f}",
            f"{row['quantize']['peak_resident_gib']:.1f}",
            "{variant}, {engine} ({effective_precision}), {picked}".format(**row["auto"]),
        )
        for row in data["rows"]
    ]
    return table(("size", "frames", "seconds", "peak memory, GiB", "what `auto` runs then"), rows, data)


def profile() -> str:
    """Where a frame goes."""
    data = read("docs/figures/quantized-speed.json")
    rows = [
        (row["size"], name, f"{ms:.1f}", f"{ms / sum(row['profile_ms'].values()):.0%}")
        for row in data["rows"]
        for name, ms in row["profile_ms"].items()
        if ms >= 0.01 * sum(row["profile_ms"].values())
    ]
    return table(("size", "node and kernel", "ms", "share"), rows, data)


def trials() -> str:
    """One choice changed at a time."""
    data = read("docs/figures/quantization-trials.json")
    rows = [
        (
            row["trial"],
            f"{row['psnr_db']:.2f}",
            f"{row['ssim']:.4f}",
            f"{row['grey_levels_ratio']:.0%}",
            f"{row['flicker_ratio'] - 1:+.1%}",
            f"{row['time_to_ours']:.2f}",
        )
        for row in data["rows"]
    ]
    return table(("", "dB", "SSIM", "grey levels", "flicker", "time, ours = 1"), rows, data)


def fine_tuning() -> str:
    """QAT before and after."""
    data = read("docs/figures/qat.json")
    rows = [
        (
            "equalised channels" if row["equalised"] else "channels as they are",
            f"{row['before']['psnr_db']:.2f} / {row['before']['ssim']:.4f}",
            f"{row['after']['psnr_db']:.2f} / {row['after']['ssim']:.4f}",
            f"{row['seconds']:.0f}",
        )
        for row in data["rows"]
    ]
    return table(("start", "calibrated only: dB / SSIM", "fine-tuned", "seconds"), rows, data)


def spread(figures: dict[str, float]) -> str:
    """The median ratio and its quartiles."""
    return f"{figures['median']:.2f}× ({figures['low']:.2f}–{figures['high']:.2f})"


TABLES: Tables = {
    "openvino quality": partial(quality, "ours, openvino", OPENVINO_TOOLS),
    "tensorrt quality": partial(quality, "ours, tensorrt", TENSORRT_TOOLS),
    "openvino speed": openvino_speed,
    "full-size speed": full_size_speed,
    "full-size cost": full_size_cost,
    "profile": profile,
    "trials": trials,
    "qat": fine_tuning,
}


def main() -> None:
    """Write the page anew."""
    write_page(PAGE, page, __doc__ or "")


if __name__ == "__main__":
    main()
