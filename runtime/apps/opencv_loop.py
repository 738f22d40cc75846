#!/usr/bin/env python
"""A camera loop of your own, with OpenCV: it hands frames over, takes what is ready, and never falls behind the camera.

Ctrl-C ends it.

Example: python runtime/apps/opencv_loop.py city.i2i 0 painted.avi
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress

import cv2

from edge_i2i.errors import EdgeI2IError
from edge_i2i.live.frame import Origin
from edge_i2i.live.opening import open_session


def main() -> None:
    options = parse()
    camera = cv2.VideoCapture(int(options.source) if options.source.isdigit() else options.source)
    if not camera.isOpened():
        sys.exit(f"{options.source} cannot be opened.")
    fps = camera.get(cv2.CAP_PROP_FPS) or 25.0
    writer = cv2.VideoWriter()
    translated = 0
    with open_session(options.bundle, source=None, threads=options.threads) as session, suppress(KeyboardInterrupt):
        while translated < options.frames:
            ok, frame = camera.read()
            if not ok:
                break
            session.submit(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            result = session.latest(timeout=1 / fps)  # the newest that was not taken yet, or None
            if result is None:
                continue
            translated += result.origin is not Origin.PASSED_THROUGH  # as it is while the network loads
            if not writer.isOpened():
                height, width = result.image.shape[:2]
                writer.open(options.output, cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
            writer.write(cv2.cvtColor(result.image, cv2.COLOR_RGB2BGR))  # or cv2.imshow, where OpenCV has windows
    writer.release()
    stats = session.stats()
    print(f"{stats.frames} of {stats.captured} frames on {stats.engine}, age p50 {stats.age_ms.p50:.0f} ms")


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
