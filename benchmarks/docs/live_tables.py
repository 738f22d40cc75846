"""Fill the tables of docs/live.md: from the library's own lists, and from the JSON that the measuring commands left.

A table whose figures are not there yet is left out, and the sentence above it, too.

Example: python -m benchmarks.docs.live_tables
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.docs.pages import Tables, filled, plain_table, read, table, write_page
from benchmarks.figures import ROOT
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import JSON_FIELDS, StatsSnapshot
from edge_i2i.live.sinks.registry import SINK_FORMS
from edge_i2i.metrics.flicker import warp_grey_levels
from edge_i2i.sources.registry import SOURCE_KINDS

PAGE = ROOT / "docs" / "live.md"
LIVE, EFFECTS, WEB = (f"docs/figures/{name}.json" for name in ("live", "live-effects", "live-page"))

Row = dict[str, Any]
Cells = tuple[str, ...]


def page() -> str:
    """The whole page, with its tables made anew."""
    return filled(PAGE, TABLES)


# From the library -----------------------------------------------------------------------------------------------------


def sources() -> str:
    """Every kind of source."""
    head = ("source", "is", "needs", "can be asked for")
    return plain_table(
        head,
        (
            (
                f"`{kind.example}`",
                kind.meaning,
                f"extra `{kind.extra}`" if kind.extra else "",
                " and ".join(what for what, takes in (("size", kind.takes_size), ("fps", kind.takes_fps)) if takes),
            )
            for kind in SOURCE_KINDS
        ),
    )


def sinks() -> str:
    """Every kind of sink."""
    head = ("sink", "is", "options")
    return plain_table(
        head,
        (
            (f"`{form.example}`", form.meaning, ", ".join(f"`?{option}=`" for option in form.options))
            for form in SINK_FORMS
        ),
    )


def fields() -> str:
    """What ``--json`` ends with."""
    return plain_table(("field", "is"), ((f"`{name}`", JSON_FIELDS[name]) for name in StatsSnapshot().as_json()))


def causes() -> str:
    """Why frames are dropped."""
    return plain_table(("cause", "means"), ((f"`{cause.value}`", cause.meaning) for cause in DropCause))


# From figures ---------------------------------------------------------------------------------------------------------


def measured(path: str, part: Callable[[Row], bool], sentence: str, head: Cells, cells: Callable[[Row], Cells]) -> str:
    """A sentence and a table of some rows of a file; nothing where there are no such figures."""
    if not (ROOT / path).exists():
        return ""
    data = read(path)
    rows = [cells(row) for row in data["rows"] if part(row)]
    return f"{sentence}\n\n{table(head, rows, data)}" if rows else ""


def of_live(part: str, sentence: str, head: Cells, cells: Callable[[Row], Cells]) -> Callable[[], str]:
    """A table of a part of ``benchmarks.live.run``."""
    return partial(measured, LIVE, lambda row: row["part"] == part, sentence, head, cells)


def of_effects(effect: str, sentence: str, head: Cells, cells: Callable[[Row], Cells]) -> Callable[[], str]:
    """A table of an effect of ``benchmarks.live.effects``."""
    return partial(measured, EFFECTS, lambda row: row["effect"] == effect, sentence, head, cells)


def slot(row: Row) -> Cells:
    """Ages behind the slot."""
    return (
        f"{row['model_ms']} ms",
        *(f"{row[name]:.0f}" for name in ("p50_ms", "p99_ms", "last_ms")),
        f"{row['slope_ms_per_s']:+.2f}",
        f"{row['duplicates']}",
        f"{row['dropped']} of {row['captured']}",
    )


def overhead(row: Row) -> Cells:
    """What is not the network."""
    return (
        row["network"],
        f"{row['model_p50_ms']:.1f}",
        f"{row['p50_ms']:.2f}",
        f"{row['p99_ms']:.2f}",
        f"{row['frames']}, {row['source_fps']:g} a second",
    )


def processor_time(row: Row) -> Cells:
    """Of a 720p frame."""
    names = ("prepare_p50_ms", "finish_p50_ms", "process_p50_ms", "process_fastest_run_ms", "process_slowest_run_ms")
    return tuple(f"{row[name]:.2f}" for name in names)


def film(row: Row) -> Cells:
    """What became of a film."""
    return (
        *(f"{row[name]}" for name in ("frames", "recorded", "lost", "reordered", "duplicates")),
        f"{row['times_moved_ms']:g} ms",
        "every packet" if row["sound_kept"] else "no",
    )


def start(row: Row) -> Cells:
    """The first pictures."""
    return (
        row["what"],
        row["from"],
        row["engine"],
        *(f"{row[name + '_s']:.2f} ({row[name + '_longest_s']:.2f})" for name in ("first_picture", "first_translated")),
    )


def soak(row: Row) -> Cells:
    """An hour of frames."""
    return (
        row["policy"],
        f"{row['frames']:,} at {row['frames_a_second']:,} a second",
        f"{row['resident_mb_per_hour']:+.2f}",
        span(row["threads"]),
        span(row["descriptors"]),
        f"{row['torn']}, {row['duplicates']}, {row['reordered']}",
        f"{row['dropped']:,} + {row['dropped_by_sink']:,}",
        f"{row['unaccounted']}",
    )


def span(values: list[int]) -> str:
    """Fewest and most, or the one number."""
    low, high = values
    return f"{low}" if low == high else f"{low}–{high}"


def recovery(row: Row) -> Cells:
    """An outage."""
    return row["fault"], f"{row['outage_s']:g} s", f"{row['recovery_longest_s']:.2f}", f"{row['runs']}"


def stop(row: Row) -> Cells:
    """The end."""
    return row["what"], f"{row['stop_longest_s']:.2f}", f"{row['runs']}"


def cycles(row: Row) -> Cells:
    """Again and again."""
    return (
        f"{row['times']} × {row['what']}",
        f"{row['mb_per_time']:+.2f}",
        f"{row['resident_mb']:.0f}",
        span(row["threads"]),
        span(row["descriptors"]),
    )


def smoothing(row: Row) -> Cells:
    """Flicker."""
    still = f"{row['std_before']:.2f} → {row['std_after']:.2f}" if "std_before" in row else ""
    errors = (row[name] for name in ("camera_warp_error", "warp_error_before", "warp_error_after"))
    return f"{row['clip']}, {row['camera']}", *(f"{warp_grey_levels(error):.2f}" for error in errors), still


def similarity(row: Row) -> Cells:
    """Frames that were not translated."""
    psnr = row["psnr_of_reused_db"]
    return row["clip"], f"{row['skipped_share']:.0%}", "–" if psnr is None else f"{psnr:.1f}"


def upsampling(row: Row) -> Cells:
    """Ways up."""
    return row["truth"], row["how"], f"{row['psnr_db']:.1f}", f"{row['psnr_at_edges_db']:.1f}"


def ladder(row: Row) -> Cells:
    """A machine that becomes slower."""
    return (
        row["what"],
        f"{row['times_slower']}× slower" if row["times_slower"] > 1 else "as it is",
        f"{row['fps']:.1f} of {row['target_fps']:.1f}",
        f"{row['frames_within_budget']:.0%}",
        f"{row['rung_at_last'] + 1} of {len(row['rungs_ms'])}" if row["what"] == "ladder" else "",
    )


def steps(row: Row) -> Cells:
    """Times of single steps."""
    return row["step"], f"{row['p50_ms']:.2f}", f"{row['p90_ms']:.2f}"


def web(row: Row) -> Cells:
    """The page."""
    ages = (row["age_ms"][name] for name in ("p50", "p99"))
    return (
        row["way"],
        row["engine"],
        f"{row['fps']:.1f}",
        *("–" if age is None else f"{age:.0f}" for age in ages),
        f"{row['dropped']}",
    )


TABLES: Tables = {
    "sources": sources,
    "sinks": sinks,
    "fields": fields,
    "drop causes": causes,
    "slot": of_live(
        "slot",
        "30 frames a second into a network that takes 50 ms, and into one that takes 20; age in ms when a sink has the "
        "result:",
        ("network", "p50", "p99", "the last", "slope, ms a second", "duplicates", "dropped"),
        slot,
    ),
    "overhead": of_live(
        "overhead",
        "What is not the network, at 256x256: the age at the sink less the network's run and the time that a frame "
        "waited for it; every hop from thread to thread is in it:",
        ("", "network p50, ms", "overhead p50, ms", "p99, ms", "frames"),
        overhead,
    ),
    "processor time": of_live(
        "processor time",
        "Processor time of all threads from a 720p frame into 256x256 and back to 720p, the network left out, ms a "
        "frame; medians of eight runs:",
        ("into the network's size", "back", "whole process", "its fastest run", "its slowest run"),
        processor_time,
    ),
    "film": of_live(
        "film",
        "A film with sound, played in full and recorded:",
        ("frames", "recorded", "lost", "reordered", "twice", "times moved by", "sound kept"),
        film,
    ),
    "start": of_live(
        "start",
        "Seconds until a sink has the first picture (passed through), and the first translated one; medians of fresh "
        "processes with a warm file cache, the longest in brackets; the demo network at 256x256:",
        ("", "counted from", "engine", "first picture", "first translated"),
        start,
    ),
    "soak": of_live(
        "soak",
        "An hour of frames (at 30 a second) through a network that costs nothing, as fast as they come; every frame "
        "carries its number:",
        (
            *("", "frames", "memory, MB an hour", "threads", "descriptors", "torn, twice, reordered"),
            *("dropped before + behind the network", "unaccounted"),
        ),
        soak,
    ),
    "recovery": of_live(
        "recovery",
        "Seconds from a camera's return until a sink has a new picture, the longest of all runs:",
        ("fault", "lasted", "back after, s", "runs"),
        recovery,
    ),
    "stop": of_live("stop", "Seconds that `stop()` takes, the longest of all runs:", ("what hangs", "s", "runs"), stop),
    "cycles": of_live(
        "cycles",
        "The demo network again and again; memory that is held, by least squares over the second half:",
        ("", "MB each", "memory at the end, MB", "threads", "descriptors"),
        cycles,
    ),
    "smoothing": of_effects(
        "smoothing",
        "`--smooth` on a clip with sensor noise. Warp error (flicker along the motion), its root in grey levels, and "
        "where the camera stands still the deviation over time:",
        ("clip, camera", "the camera's own", "without", "with", "deviation"),
        smoothing,
    ),
    "similarity": of_effects(
        "similarity",
        "`--skip-similar`: how many frames are not translated, and how close what is shown comes to their translation:",
        ("clip", "skipped", "dB"),
        similarity,
    ),
    "upsampling": of_effects(
        "upsampling",
        "`--upsample`: the result of a small network at the camera's size, against a truth that is known there:",
        ("truth", "way", "dB", "dB at edges"),
        upsampling,
    ),
    "ladder": of_effects(
        "ladder",
        "`--ladder` on a machine that becomes three times slower for a while:",
        ("", "machine", "frames a second", "frames within 1/fps", "network at last"),
        ladder,
    ),
    "steps": of_effects(
        "time",
        "What each step costs at 720p, one thread, ms:",
        ("step", "p50", "p90"),
        steps,
    ),
    "page": partial(
        measured,
        WEB,
        lambda row: True,
        "The demo network at 256x256; server and headless Chromium on the same two cores, whose fake camera gives 30 "
        "frames a second; ages in ms are the page's own:",
        ("way", "engine", "fps", "age p50", "p99", "dropped"),
        web,
    ),
}


def main() -> None:
    """Write the page anew."""
    write_page(PAGE, page, __doc__ or "")


if __name__ == "__main__":
    main()
