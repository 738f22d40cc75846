"""Verbs that people try by another name: which one does it here, or that none does it yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_i2i.cli.show.whole_help import WholeHelp
from edge_i2i.errors import UsageError, known_names
from edge_i2i.files.kinds import BUNDLE, file_kind

_PICTURES = "'edge-i2i translate BUNDLE INPUT --output OUTPUT' translates pictures, folders and films."
_LIVE = "'edge-i2i live BUNDLE --source camera:0' translates a camera."
_PAGE = "'edge-i2i serve BUNDLE' shows a bundle in a web page."
_IMPORT = "'edge-i2i import FILE' says what a checkpoint holds, 'edge-i2i export onnx --checkpoint FILE' exports it."
_EXPORT = "'edge-i2i export onnx --checkpoint FILE' makes a bundle, 'edge-i2i export trt' an engine, too."
_INSPECT = "'edge-i2i inspect BUNDLE' shows what a bundle is, and what was measured of it."
_VERIFY = "'edge-i2i verify BUNDLE' checks a bundle and its pictures."
_DOCTOR = "'edge-i2i doctor' says which engines can run here."
_QUANTIZE = "'edge-i2i quantize BUNDLE' adds INT8 variants."
_TRAIN = "'edge-i2i train --recipe FILE' trains a generator from pairs of pictures."
_OTHER_NAMES: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        _PICTURES: (
            *("predict", "infer", "inference", "run", "process", "apply", "stylize", "stylise", "generate", "render"),
            *("test", "transfer", "image", "picture", "video", "film", "transform"),
        ),
        _LIVE: ("webcam", "camera", "cam", "stream", "play", "start", "realtime", "real-time", "demo", "show-live"),
        _PAGE: ("web", "server", "page", "app", "ui", "gui", "gradio", "http", "api"),
        _IMPORT: ("load", "read", "checkpoint", "recognise", "recognize", "identify"),
        _EXPORT: (
            "convert",
            "onnx",
            "trt",
            "tensorrt",
            "engine",
            "build",
            "compile",
            "bundle",
            "package",
            "to_onnx",
            "to_trt",
        ),
        _INSPECT: ("info", "show", "describe", "summary", "view", "evidence"),
        _VERIFY: ("check", "validate", "parity", "checksum"),
        _DOCTOR: ("engines", "devices", "diagnose", "env", "system", "gpu"),
        _QUANTIZE: ("quantise", "int8", "compress", "calibrate", "ptq", "optimize", "optimise"),
        "'edge-i2i models' lists the published models.": ("model", "list", "ls", "zoo", "families"),
        "'edge-i2i --help' lists the commands, 'edge-i2i COMMAND --help' explains one.": ("help", "usage", "commands"),
        "'edge-i2i --version' says it.": ("version",),
        _TRAIN: ("fit", "learn", "finetune", "fine-tune"),
        "'edge-i2i collect' makes a calibration set.": ("calibration", "dataset"),
    }
)
_NOT_YET: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("bench", "benchmark", "profile", "speed", "time"),
            "'edge-i2i live BUNDLE --source FILM --json' says how many frames a second are translated, and 'quantize' "
            "measures its variants.",
        ),
        **dict.fromkeys(("report", "plot"), _INSPECT),
        **dict.fromkeys(("distill", "distil", "student", "prune"), _TRAIN),
        **dict.fromkeys(("evaluate", "eval", "metrics", "fid"), _VERIFY),
    }
)
_EXPORT_NAMES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("tensorrt", "engine", "rtx", "tensorrt-rtx", "plan", "jetson", "to_trt", "nvidia"),
        "'edge-i2i export trt' builds a TensorRT engine.",
    )
    | dict.fromkeys(
        ("torch", "pt", "pth", "safetensors"),
        "'edge-i2i import FILE' writes a checkpoint's weights as a safetensors file.",
    )
    | dict.fromkeys(("bundle", "i2i", "to_onnx", "ort", "onnxruntime"), "'edge-i2i export onnx' makes a bundle.")
    | dict.fromkeys(
        ("openvino", "to_openvino", "ir"),
        "Nothing has to be exported for OpenVINO: it reads the bundle that 'edge-i2i export onnx' makes, with "
        "'--engine openvino'.",
    )
)
_NO_EXPORT_YET: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("coreml", "to_coreml", "core-ml", "mlpackage", "mlmodel", "tflite", "litert", "ncnn", "torchscript", "qnn"),
        "'edge-i2i export onnx' makes a bundle, which runs on ONNX Runtime on every system.",
    )
)


class OtherNames(WholeHelp):
    """A group whose unknown verbs are answered with the right one. ``there`` and ``later``: sentences by name."""

    there: Mapping[str, str] = {}
    later: Mapping[str, str] = {}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that the first argument names.

        Raises:
            UsageError: there is none of that name; says which one does it.
        """
        name = args[0]
        there = self.get_command(ctx, name) is not None or ctx.resilient_parsing  # a shell that completes asks, too
        if not there and not name.startswith("-"):
            raise self.unknown(name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def unknown(self, name: str, verbs: list[str]) -> UsageError:
        """Why there is no such verb, and what to do instead."""
        plain = name.lower()
        if plain in self.there:
            return UsageError(f"No such command '{name}'.", remedy=self.there[plain])
        if plain in self.later:
            return UsageError(f"No such command '{name}' yet.", remedy=self.later[plain])
        return UsageError(f"No such command '{name[:80]}'.", remedy=known_names(name, verbs, "commands"))


class Verbs(OtherNames):
    """``edge-i2i VERB``; a file in the verb's place is told what can be done with it."""

    there = MappingProxyType({name: sentence for sentence, names in _OTHER_NAMES.items() for name in names})
    later = _NOT_YET

    def unknown(self, name: str, verbs: list[str]) -> UsageError:
        """See ``OtherNames``."""
        if not Path(name).exists():
            return super().unknown(name, verbs)
        what = "a folder" if Path(name).is_dir() else "a file"
        return UsageError(f"'{name}' is {what}, and the command comes first.", remedy=_what_to_do_with(Path(name)))


def _what_to_do_with(path: Path) -> str:
    kind = file_kind(path)
    if kind is BUNDLE:
        return f"{_PICTURES} {_INSPECT}"
    if kind is not None and kind.translatable:
        return _PICTURES
    return f"{_PICTURES} {_IMPORT}" if path.is_dir() else _IMPORT


class ExportTargets(OtherNames):
    """``edge-i2i export TARGET``."""

    there = _EXPORT_NAMES
    later = _NO_EXPORT_YET
