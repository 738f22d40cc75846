"""A translator as the process of a live session, and a loader that gets it ready beside the running pipeline."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, Stopwatch, SystemClock
from edge_i2i.contract import Role, Size
from edge_i2i.engines.choice import AUTO
from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Loader, Process, Processed
from edge_i2i.live.model.upsampling import Upsampling, lifted
from edge_i2i.progress import Progress
from edge_i2i.translate.translator import LoadOptions, Translator, load

WARM_UP_RUNS = 2
"""The first run allocates (CPU: up to 1.3 times a steady one; TensorRT: up to a second), the second is steady."""

SetLook = Callable[[Translator], object]
"""Sets what a network needs before its first frame: ``condition``, ``mix``, ``condition_stack``."""


class TranslatorProcess:
    """Translates frames with one bundle. Stages: ``prepare`` (into the network's size), ``model``, ``finish`` (back).

    Args:
        translator: runs the network. The process owns it: closing the process closes the translator.
        upsample: the size of results, and how they get it; it replaces the translator's own ``keep_size``.
        clock: measures the stages' times; None: the machine's own.

    Raises:
        UsageError: the network takes more than a picture for every frame, which no camera gives.
    """

    def __init__(
        self, translator: Translator, *, upsample: Upsampling = Upsampling.LINEAR, clock: Clock | None = None
    ) -> None:
        self._input = _picture_input(translator)
        self._translator, self._upsample = translator, upsample
        self._clock = clock or SystemClock()
        session = translator.info.session
        self.engine, self.effective_precision = session.engine, session.effective_precision

    def __call__(self, frame: Frame) -> Processed:
        """Translate a frame of any size. The result has the frame's size, unless ``upsample`` is ``none``."""
        watch = Stopwatch(self._clock)
        staged = self._translator.stage(frame.image)
        watch.lap("prepare")
        image = self._translator.run_staged(staged)
        watch.lap("model")
        lift = lifted(image, staged.inputs[self._input], frame.image, staged.placement, self._upsample)
        watch.lap("finish")
        return Processed(lift, seconds=watch.seconds)

    def condition(self, **inputs: Any) -> None:
        """See ``Translator.condition``."""
        self._translator.condition(**inputs)

    def close(self) -> None:
        """Close the translator."""
        self._translator.close()


def _picture_input(translator: Translator) -> str:
    """The name of the one input that a camera feeds."""
    first, *others = translator.declaration.inputs
    once = {spec.name for spec in translator.takes}
    needed = [spec.name for spec in others if spec.name not in once and spec.default is None and spec.role in _MAPS]
    if first.role is not Role.FRAME or needed:
        given = ", ".join([first.name, *needed])
        raise UsageError(
            f"This network takes {given} for every frame; a live source gives pictures.",
            remedy="Translate files instead (edge-i2i translate), or export a network that takes pictures.",
        )
    return first.name


_MAPS = (Role.LABEL_MAP, Role.INSTANCE_MAP)


def translator_loader(
    bundle: str | PathLike[str],
    *,
    variant: str = AUTO,
    upsample: Upsampling | str = Upsampling.LINEAR,
    look: SetLook | None = None,
    clock: Clock | None = None,
    **options: Unpack[LoadOptions],
) -> Loader:
    """A loader that opens a bundle, sets its look and warms it up.

    Args:
        bundle: the ``.i2i`` bundle.
        variant: ``auto``, or one of the bundle's variants by name.
        upsample: the size of results, and how they get it.
        look: called with the translator once it is open, to set what the network needs before its first frame.
        clock: measures the stages' times; None: the machine's own.
        options: ``engine``, ``precision``, ``threads``, ``fit``, …: the options of ``edge_i2i.load``.

    The loader raises what ``load``, ``look`` and ``TranslatorProcess`` raise, and:

        UsageError: the network needs a look before the first frame, and ``look`` set none.
        BadInputError: it draws one colour all over, whatever it is shown (see ``check_draws``).
    """

    def run(progress: Progress) -> Process:
        progress.start(3, "steps")
        try:
            translator = load(bundle, variant=variant, **options)
            progress.advance(note=f"{Path(bundle).name} is open")
            try:
                return _made_ready(translator, Upsampling(upsample), look, clock, progress)
            except BaseException:
                translator.close()
                raise
        finally:
            progress.finish()

    return run


def _made_ready(
    translator: Translator, upsample: Upsampling, look: SetLook | None, clock: Clock | None, progress: Progress
) -> Process:
    process = TranslatorProcess(translator, upsample=upsample, clock=clock)
    if look is not None:
        look(translator)
    if translator.missing:
        names = " and ".join(spec.name for spec in translator.missing)
        raise UsageError("This bundle needs a look before the first frame.", remedy=f"Set {names}.")
    progress.advance(note="its look is set")
    for _ in range(WARM_UP_RUNS):
        image = process(blank_frame(translator.size)).image
    check_draws(image)
    progress.advance(note="it is warm")
    return process


def blank_frame(size: Size) -> Frame:
    """A frame to warm up with: every colour somewhere, so that it is nothing special for any network."""
    rows, columns = np.mgrid[: size.height, : size.width]
    image = np.stack([columns * 255 // size.width, rows * 255 // size.height, (rows + columns) * 8 % 256], axis=2)
    return Frame(seq=0, epoch=0, t_capture=0.0, t_source=None, image=image.astype(np.uint8))


def check_draws(image: Picture) -> None:
    """Refuse a network that computes NaN or infinities, by a picture that it made of ``blank_frame``.

    They cannot be seen in uint8: the graph's last step turns them into one value, and instance norm has spread them
    over the whole picture by then. So a network that draws one colour all over a colourful picture is taken for
    broken. This is looked at once, after warming up, and not for every frame: a lens that is covered may well be
    translated into one colour.

    Raises:
        BadInputError: all pixels are the same.
    """
    if (image == image[0, 0]).all():
        raise BadInputError(
            f"The network draws one colour all over ({', '.join(map(str, image[0, 0]))}), whatever it is shown: "
            "it computes NaN or infinities.",
            remedy="Check its weights (edge-i2i verify), or take a variant or precision with a larger range: fp32.",
        )
