#!/usr/bin/env python
"""Live translation inside an asyncio program: results arrive by ``async for``, and everything else goes on beside it.

Example: python runtime/apps/asyncio_app.py city.i2i 0 --frames 100
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from edge_i2i import EdgeI2IError, LiveSession, PictureError, open_session


async def receive(session: LiveSession, frames: int) -> None:
    """Here your program would send, show or store each picture (RGB, uint8 [H, W, 3])."""
    async for result in session:
        print(f"frame {result.frame.seq}: {result.image.shape}, {result.origin}, {result.age_ms:.0f} ms old")
        if session.stats().frames >= frames:
            return


async def report(session: LiveSession) -> None:
    """Something else that the program does: nothing here waits for the network."""
    while True:
        await asyncio.sleep(1)
        stats = session.stats()
        print(f"{stats.fps:.1f} fps, dropped {sum(stats.dropped.values())}")


async def main(options: argparse.Namespace) -> None:
    with open_session(options.bundle, source=options.source, threads=options.threads) as session:
        beside = asyncio.create_task(report(session))
        try:
            await receive(session, options.frames)
        finally:
            beside.cancel()
    stats = session.stats()
    if stats.frames == 0:
        raise PictureError(f"Nothing was translated: {options.source} gave no frame, or the network was not ready.")
    print(f"{stats.frames} frames on {stats.engine}, age p50 {stats.age_ms.p50:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("source", help="0, a file, rtsp://…, pattern:, photo:…")
    parser.add_argument("--frames", type=int, default=sys.maxsize, help="end after so many translated ones")
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    try:
        asyncio.run(main(parser.parse_args()))
    except EdgeI2IError as error:  # it says what happened and what to do
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
