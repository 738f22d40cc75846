#!/usr/bin/env python
"""A loop of your own, with OpenCV: it hands frames over, and writes what the network made of them.

Of a camera it takes what is ready, and never falls behind; of a film every frame, however long that takes. Ctrl-C ends
it.

Example: python runtime/apps/opencv_loop.py city.i2i 0 painted.avi
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

import cv2

from edge_i2i import EdgeI2IError, Mode, Origin, Picture, PictureError, Policy, open_session


def main() -> None:
    options = parse()
    camera = cv2.VideoCapture(int(options.source) if options.source.isdigit() else options.source)
    if not camera.isOpened():
        sys.exit(f"{options.source} cannot be opened.")
    fps = camera.get(cv2.CAP_PROP_FPS) or 25.0
    is_film = Path(options.source).is_file()
    policy = Policy(Mode.OFFLINE) if is_film else None  # a film waits for the network, a camera does not
    patience = None if is_film else 1 / fps
    writer = cv2.VideoWriter()
    written = 0
    session = open_session(options.bundle, source=None, policy=policy, threads=options.threads)
    with session, suppress(KeyboardInterrupt):
        while written < options.frames:
            ok, frame = camera.read()
            if not ok:
                break
            session.submit(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            result = session.latest(timeout=patience)  # the newest that was not taken yet, or None
            if result is None or result.origin is Origin.PASSED_THROUGH:  # a camera's, while the network loads
                continue
            write(writer, result.image, fps, options.output)  # or cv2.imshow, where OpenCV has windows
            written += 1
    writer.release()
    if written == 0:
        raise PictureError(f"Nothing was translated: {options.source} gave no frame, or the network was not ready.")
    stats = session.stats()
    print(f"{stats.frames} of {stats.captured} frames on {stats.engine}, age p50 {stats.age_ms.p50:.0f} ms")


def write(writer: cv2.VideoWriter, picture: Picture, fps: float, target: str) -> None:
    """The first picture opens the file: now its size is known."""
    if not writer.isOpened():
        height, width = picture.shape[:2]
        if not writer.open(target, cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height)):
            raise EdgeI2IError(f"{target} cannot be written.", remedy="Name an .avi file in a folder that is there.")
    writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("source", help="a camera's number, a video file, or what else OpenCV opens")
    parser.add_argument("output", help="an .avi file")
    parser.add_argument("--frames", type=int, default=sys.maxsize, help="end after so many translated ones")
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except EdgeI2IError as error:  # it says what happened and what to do
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
