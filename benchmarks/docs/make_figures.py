"""Write docs/figures.md from the JSON files that the measuring commands left; the tables are never typed by hand.

Example: python -m benchmarks.docs.make_figures
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.docs.pages import plain_table, read, write_page
from benchmarks.figures import ROOT

PAGE = ROOT / "docs" / "figures.md"


def page() -> str:
    """The whole page."""
    sections = [
        "# Figures\n\nMade by `python -m benchmarks.docs.make_figures` from JSON that commands in this repository "
        "wrote; each table names its command and machine. Change a figure by measuring it again.",
        held_out(),
        full_size_export(),
        full_size_models(),
        translator_overhead(),
        engine_speed(),
        rewrite_speed(),
        scaling(),
        lomit_approximation(),
    ]
    return "\n\n".join(sections) + "\n"


def held_out() -> str:
    """How close the demo network comes to its target on photographs that it was never trained on."""
    data = read("training/results/demo/heldout.json")
    rows = [
        (name.replace("_", " "), f"{scores['psnr']:.2f}", f"{scores['ssim']:.3f}")
        for name, scores in (
            ("demo network", data["held_out"]["mean"]["ours"]),
            ("colour fit (least-squares 1×1)", data["held_out"]["mean"]["colour_fit"]),
            ("the photograph as it is", data["held_out"]["mean"]["identity"]),
        )
    ]
    return section("The demo network on held-out photographs", ("", "PSNR to target, dB", "SSIM"), rows, data)


def full_size_export() -> str:
    """Time and memory of ``to_trt`` on the full-size network."""
    data = read("docs/figures/full-size-export.json")
    rows = [
        (
            run["precision"],
            f"{run['seconds']:.0f}",
            f"{run['peak_resident_gib']:.1f}",
            f"{run['engine_runtime']} {run['engine_version']}",
            f"`{run['command']}`",
        )
        for run in data["runs"]
    ]
    head = ("engine", "seconds", "peak memory, GiB", "runtime", "command")
    return section("Full-size pix2pixHD (182 M parameters, 512x1024) to a TensorRT-RTX engine", head, rows, data)


def full_size_models() -> str:
    """Every model at its published size."""
    data = read("docs/figures/full-size-models.json")
    rows = [
        (
            row["model"],
            f"{row['architecture']}, {row['size']}",
            f"{row['graphs']}",
            f"{row['fp32_float_error']:.1e}",
            f"{row['fp32_equal_share']:.3%}",
            f"{row['fp16_psnr_db']:.1f}",
            f"{row['engines']} ({row['engine_version']})",
            f"{row['seconds']:.0f}",
        )
        for row in data["rows"]
    ]
    head = (
        *("model", "architecture", "graphs", "FP32: largest float error", "FP32: equal values", "FP16, dB"),
        *("TensorRT-RTX engines", "seconds"),
    )
    return section("Every model at its published size, random weights, to a bundle and engines", head, rows, data)


def translator_overhead() -> str:
    """What the translator adds to the raw engine call."""
    data = read("docs/figures/translator-overhead.json")
    rows = [
        (
            f"`{benchmark['params']['form']}`",
            f"{benchmark['extra_info']['raw_engine_call_p50_ms']:.3f}",
            f"{benchmark['stats']['median'] * 1e3:.3f}",
            f"{benchmark['extra_info']['overhead_p50_ms']:.3f}",
        )
        for benchmark in data["benchmarks"]
    ]
    head = ("translator", "raw engine call p50, ms", "translator p50, ms", "overhead, ms")
    about = {**data["machine_info"], "command": "make bench", "date": data["datetime"][:10]}
    return section("Translator overhead at 512x512 (an identity graph, interleaved)", head, rows, about)


def engine_speed() -> str:
    """Engines and graph passes beside each other."""
    data = read("docs/figures/engine-speed.json")
    rows = [
        (row["engine"], row["passes"], f"{row['speed_to_onnxruntime_without_passes']:.2f}×", f"{row['p50_ms']:.1f}")
        for row in data["rows"]
    ]
    title = f"Engines and graph passes on the demo network, {data['size']}, {data['threads']} threads, interleaved"
    return section(title, ("engine", "passes", "speed", "p50, ms"), rows, data)


def rewrite_speed() -> str:
    """What each exact rewrite gains on each network."""
    data = read("docs/figures/rewrite-speed.json")
    pairs: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for row in data["rows"]:
        key = f"{row['network']}, {row['size']}", row["kind"], row["name"]
        pairs.setdefault(key, {})[row["engine"]] = row
    rows = [
        (network, kind, f"`{name}`" if kind != "pass" or " " not in name else name, *map(speed_cell, engines.values()))
        for (network, kind, name), engines in pairs.items()
    ]
    title = (
        f"Exact rewrites: time without / time with (quartiles), {data['threads']} threads, interleaved, "
        f"{data['rounds']} rounds; on by default in that run: {', '.join(data['default_passes'])}"
    )
    head = ("network", "kind", "rewrite", *next(iter(pairs.values())))
    about = {**data, "command": data["command"]}
    return section(title, head, rows, about)


def speed_cell(row: dict[str, Any]) -> str:
    """The median ratio and its quartiles."""
    low, high = row["speed_quartiles"]
    return f"{row['speed']:.2f}× ({low:.2f}–{high:.2f})"


def scaling() -> str:
    """Scaling pictures down, ours and OpenCV's areas."""
    data = read("docs/figures/scaling.json")
    rows = [
        (
            f"{row['size']}, {row['factor']:g}",
            *(
                f"{row[f'ours, {picture}, dB']:.1f} / {row[f'areas, {picture}, dB']:.1f}"
                for picture in ("photographs", "zone plate")
            ),
            f"{row['speed_to_areas']:.1f}×",
        )
        for row in data["rows"]
    ]
    head = ("to, factor", "photographs, dB: ours / areas", "zone plate, dB: ours / areas", "speed to areas")
    title = f"Scaling {data['source']} down: distance to the nearest Gaussian, and speed, interleaved, one thread"
    return section(title, head, rows, data)


def lomit_approximation() -> str:
    """How far LOMIT's approximate mode lies from the exact one."""
    data = read("docs/figures/lomit-approximation.json")
    rows = [
        (
            row["norm_mode"],
            f"{row['mean_error']:.1e}",
            f"{row['largest_error']:.1e}",
            f"{row['mean_change_by_another_exemplar']:.1e}",
        )
        for row in data["rows"]
    ]
    head = ("norm mode", "mean error", "largest error", "for comparison: mean change by another exemplar")
    title = f"LOMIT's approximate mode (`--set approximate=true`): {data['network']}; {data['range']}"
    return section(title, head, rows, data)


def section(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]], about: dict[str, Any]) -> str:
    """A headed table with its circumstances below."""
    machine = about.get("machine", about)
    lines = [f"## {title}", "", plain_table(head, rows), ""]
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}"
    command = f"`{about['command']}`, " if "command" in about else ""
    lines.append(f"{command}{where}, {about['date']}")
    return "\n".join(lines)


def main() -> None:
    """Write the page anew."""
    write_page(PAGE, page, __doc__ or "")


if __name__ == "__main__":
    main()
