"""The sound of films: copied where the format takes it, converted where it does not, and left out only with a word."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edge_i2i.media.films.audio_conversion import AacConversion
from samples.films import RATE, Film, add_tone, copy_film, make_film, read


def sound_of(path: Path) -> tuple[str, float, np.ndarray]:
    """Its codec, when it begins, and its samples (one channel, -1 to 1)."""
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        resampler = av.AudioResampler("flt", "mono", 48000)
        frames = list(film.decode(stream))
        samples = [r.to_ndarray().ravel() for frame in frames for r in resampler.resample(frame)]
        return stream.codec_context.codec.canonical_name, float(frames[0].time or 0), np.concatenate(samples)


def check_tone(samples: np.ndarray, seconds: float) -> None:
    """440 Hz for so long."""
    assert len(samples) / 48000 == pytest.approx(seconds, abs=0.08)
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * 48000 / len(middle) == pytest.approx(440, abs=5)
    assert np.abs(middle).max() > 0.1


CODECS = ["aac", "libmp3lame", "ac3", "libopus", "flac", "alac", "pcm_s16le", "pcm_s24le", "pcm_u8", "wavpack"]


@pytest.mark.parametrize("target", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("codec", CODECS)
def test_whatever_sound_a_matroska_holds(tmp_path: Path, codec: str, target: str) -> None:
    source = make_film(tmp_path / "source.mkv", Film(sound=codec))
    path = copy_film(source, tmp_path / target)
    name, start, samples = sound_of(path)
    check_tone(samples, 10 / RATE)
    assert start == pytest.approx(0, abs=0.05) and len(read(path)) == 10
    before, _, _ = sound_of(source)
    assert name in (before, "aac")


@pytest.mark.parametrize(
    ("source", "codec"),
    [
        ("a.avi", "pcm_s16le"),
        ("a.avi", "adpcm_ms"),
        ("a.mov", "pcm_mulaw"),
        ("a.mov", "pcm_s16be"),
        ("a.flv", "libmp3lame"),
        ("a.webm", "libopus"),
        ("a.ts", "ac3"),
    ],
)
def test_whatever_sound_other_containers_hold(tmp_path: Path, source: str, codec: str) -> None:
    pictures = {"a.flv": "flv1", "a.webm": "libvpx", "a.avi": "mjpeg"}.get(source, "libx264")
    film = make_film(tmp_path / source, Film(sound=codec, codec=pictures, sound_first=True))
    for target in ("b.mp4", "b.mov", "b.mkv"):
        _, _, samples = sound_of(copy_film(film, tmp_path / target))
        check_tone(samples, 10 / RATE)


def test_what_is_converted_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = make_film(tmp_path / "source.mkv", Film(sound="pcm_s16le"))
    with caplog.at_level(logging.WARNING):
        copy_film(source, tmp_path / "a.mp4")
        assert "pcm_s16le" in caplog.text and "converted to AAC" in caplog.text
        caplog.clear()
        copy_film(source, tmp_path / "a.mkv")
        assert not caplog.text


def test_sound_that_cannot_be_decoded_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_film(tmp_path / "source.mkv", Film(sound="wavpack"))
    monkeypatch.setattr(AacConversion, "of", lambda stream: None)
    with caplog.at_level(logging.WARNING):
        copy_film(source, tmp_path / "a.mp4")
    assert "wavpack" in caplog.text and "left out" in caplog.text
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert not film.streams.audio
    assert len(read(tmp_path / "a.mp4")) == 10


@pytest.mark.parametrize(
    ("rate", "layout", "kept"), [(22050, "mono", 22050), (48000, "5.1", 48000), (37800, "stereo", 48000)]
)
def test_rates_and_channels(tmp_path: Path, rate: int, layout: str, kept: int) -> None:
    with av.open(str(tmp_path / "source.mkv"), "w") as target:
        pictures = target.add_stream("libx264", rate=RATE)
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        sound = target.add_stream("pcm_s16le", rate=rate, layout=layout)
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        add_tone(target, sound, 0, 0.4)
    path = copy_film(tmp_path / "source.mkv", tmp_path / "a.mp4")
    with av.open(str(path)) as film:
        context = film.streams.audio[0].codec_context
        assert (context.sample_rate, context.channels) == (kept, {"mono": 1, "5.1": 6, "stereo": 2}[layout])
    check_tone(sound_of(path)[2], 0.4)


def test_a_gap_in_converted_sound_stays_a_gap(tmp_path: Path) -> None:
    """A browser's recording leaves out what is silent."""
    with av.open(str(tmp_path / "source.mkv"), "w") as target:
        pictures = target.add_stream("libx264", rate=RATE)
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        sound = target.add_stream("pcm_s16le", rate=48000, layout="mono")
        for index in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        for at in (*range(0, 24000, 1024), *range(72000, 96000, 1024)):
            samples = av.AudioFrame.from_ndarray(np.full((1, 1024), 9000, np.int16), "s16", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 48000, at, Fraction(1, 48000)
            target.mux(sound.encode(samples))
    _, _, samples = sound_of(copy_film(tmp_path / "source.mkv", tmp_path / "a.mp4"))
    assert len(samples) / 48000 == pytest.approx(2, abs=0.1)
    assert np.abs(samples[36000:60000]).max() < 0.02 < np.abs(samples[76000:90000]).min()
