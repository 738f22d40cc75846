"""Films of every kind, made with PyAV alone, so that they are independent of the code under test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from edge_i2i.media.films.reader import VideoFrame
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.films.video_writer import VideoWriter

RATE = 25
SIDE = 32


@dataclass(frozen=True)
class Film:
    """What a film is made like. ``first``: its first frame's number, from which its time counts."""

    frames: int = 10
    codec: str = "libx264"
    first: int = 0
    rate: int = RATE
    sound: str | None = None
    reordered: bool = False
    data: str | None = None
    font: bool = False
    cover: bool = False
    sound_first: bool = False


def level(index: int) -> int:
    """The grey of a frame, which says which one it is."""
    return 20 + index * 15 % 220


def make_film(path: Path, film: Film = Film(), *, form: str | None = None) -> Path:
    """Write it; the suffix chooses the format unless ``form`` does."""
    with av.open(str(path), "w", format=form) as target:
        sound = target.add_stream(film.sound, rate=48000, layout="stereo") if film.sound and film.sound_first else None
        data = target.add_data_stream(film.data) if film.data else None
        if film.font:
            target.add_attachment("font.ttf", "application/x-truetype-font", bytes(2000))
        if film.cover:
            art = cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
            target.add_attachment("cover.png", "image/png", art)
        pictures = _add_pictures(target, film)
        if film.sound and sound is None:
            sound = target.add_stream(film.sound, rate=48000, layout="stereo")
        for index in range(film.frames):
            if data is not None and index % 3 == 0:
                _add_data(target, data, film.first + index)
            target.mux(pictures.encode(_frame(index, film)))
        target.mux(pictures.encode(None))
        if sound is not None:
            add_tone(target, sound, film.first / film.rate, film.frames / film.rate)
    return path


def film_of(
    path: Path, pictures: Iterable[np.ndarray], *, rate: int = RATE, options: Mapping[str, str] | None = None
) -> Path:
    """A film of these pictures, RGB uint8 ``[H, W, 3]`` and all of one size; ``options``: the encoder's."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=rate, options=dict(options or {}))
        stream.pix_fmt = "yuv420p"
        for index, picture in enumerate(pictures):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def add_tone(target: av.container.OutputContainer, sound: av.AudioStream, start: float, seconds: float) -> None:
    """440 Hz, from ``start``."""
    context = sound.codec_context
    rate = context.sample_rate
    resampler = av.AudioResampler(context.format, context.layout, rate, frame_size=context.frame_size or 1024)
    for at in range(0, int(seconds * rate), 1024):
        wave = 0.3 * np.sin(2 * np.pi * 440 * (at + np.arange(1024)) / rate)
        samples = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = rate, at + int(start * rate), Fraction(1, rate)
        for block in resampler.resample(samples):
            target.mux(sound.encode(block))
    for block in resampler.resample(None):
        target.mux(sound.encode(block))
    target.mux(sound.encode(None))


def read(path: Path) -> list[VideoFrame]:
    """Every frame, with the code under test."""
    with VideoReader(path) as reader:
        return list(reader)


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    """When each packet of the sound begins, in seconds, and what is in it."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(stream) if p.pts is not None]


def copy_film(source: Path, target: Path) -> Path:
    """The same pictures, times and sound, with the code under test."""
    with (
        VideoReader(source) as reader,
        VideoWriter(target, reader.fps, reader.size, time_base=reader.time_base, audio_from=reader) as writer,
    ):
        for frame in reader:
            writer.write(frame.image, frame.pts_seconds, frame.duration_seconds)
    return target


def seconds(frames: Sequence[VideoFrame]) -> list[float]:
    """Their times."""
    return [float(frame.pts_seconds) for frame in frames]


def levels(frames: Sequence[VideoFrame]) -> list[int]:
    """Their greys."""
    return [round(float(frame.image.mean())) for frame in frames]


def _add_pictures(target: av.container.OutputContainer, film: Film) -> av.VideoStream:
    pictures = target.add_stream(film.codec, rate=film.rate)
    pictures.width = pictures.height = SIDE
    pictures.pix_fmt = "yuvj420p" if film.codec == "mjpeg" else "yuv420p"
    pictures.bit_rate = 1_000_000
    if film.reordered:
        pictures.codec_context.max_b_frames = 2
    return pictures


def _frame(index: int, film: Film) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), level(index), np.uint8), "rgb24")
    frame.pts, frame.time_base = film.first + index, Fraction(1, film.rate)
    return frame


def _add_data(target: av.container.OutputContainer, stream: av.stream.Stream, at: int) -> None:
    packet = av.Packet(bytes(44))
    packet.stream, packet.pts, packet.dts, packet.time_base = stream, at, at, Fraction(1, RATE)
    target.mux(packet)
