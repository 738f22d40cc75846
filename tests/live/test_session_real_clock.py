"""What simulated time cannot show: asyncio, and that real threads and files are given back."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from edge_i2i.clock import SystemClock
from edge_i2i.live.policy import Policy
from edge_i2i.live.session import LiveSession
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.threads.ending import LiveError
from samples.live.coded_frames import CodedSink, coded_picture, coded_spec
from samples.live.fake_models import FakeModel, loader, raising
from samples.live.fake_sinks import KeepingSink


def our_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("edge-i2i"))


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def settle(clock: SystemClock) -> list[str]:
    """A thread that has said that it ends needs a moment until the system has taken it away."""
    for _ in range(100):
        if not our_threads():
            break
        clock.sleep(0.01)
    return our_threads()


class FileSink(KeepingSink):
    """Holds a file open while it is in use."""

    def __init__(self, clock: SystemClock, path: Path) -> None:
        super().__init__(clock)
        self._file = path.open("wb")

    def close(self) -> None:
        self._file.close()
        super().close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_fifty_sessions_leave_no_thread_and_no_file_behind(tmp_path: Path) -> None:
    clock, before = SystemClock(), None
    for cycle in range(50):
        sinks: list[Sink] = [FileSink(clock, tmp_path / "out"), CodedSink()]
        load = loader(clock, FakeModel(clock), 0.0) if cycle % 2 else FakeModel(clock)
        with LiveSession(coded_spec(clock, fps=1000), load, sinks) as session:
            assert session.latest(5) is not None
        assert settle(clock) == []
        before = before or descriptors()
    assert descriptors() == before


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_fifty_swaps_leave_no_network_thread_or_file_behind() -> None:
    clock = SystemClock()
    models = [FakeModel(clock) for _ in range(51)]
    with LiveSession(coded_spec(clock, fps=500), models[0], [CodedSink()]) as session:
        assert session.latest(5) is not None
        threads = before = None
        for model in models[1:]:
            assert session.swap(loader(clock, model, 0.0)).wait(5)
            clock.sleep(0.002)
            alive = [name for name in our_threads() if name != "edge-i2i load"]
            threads, before = threads or alive, before or descriptors()
            assert alive == threads
        assert descriptors() == before and [model.closed for model in models] == [1] * 50 + [0]
        assert session.stats().duplicates == 0
    assert settle(clock) == [] and models[-1].closed == 1


def test_async_iteration_gets_every_result_offline_and_never_blocks_the_loop() -> None:
    async def main() -> tuple[list[int], int]:
        clock, beats = SystemClock(), 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.001)

        beating = asyncio.create_task(beat())
        spec = coded_spec(clock, frames=100, live=False)
        session = LiveSession(spec, FakeModel(clock, 0.002), policy=Policy.offline())
        seqs = [result.frame.seq async for result in session]
        beating.cancel()
        await asyncio.to_thread(session.stop)
        return seqs, beats

    seqs, beats = asyncio.run(main())
    assert seqs == list(range(100)) and beats > 20


def test_async_iteration_gets_the_newest_live_and_may_be_left() -> None:
    async def main() -> list[int]:
        clock, seqs = SystemClock(), []
        with LiveSession(coded_spec(clock, fps=500), FakeModel(clock)) as session:
            async for result in session:
                seqs.append(result.frame.seq)
                await asyncio.sleep(0.02)
                if len(seqs) == 5:
                    break
        return seqs

    seqs = asyncio.run(main())
    assert len(seqs) == 5 and seqs == sorted(set(seqs)) and seqs[-1] > 8


def test_async_iteration_raises_the_error_once() -> None:
    async def main() -> None:
        clock = SystemClock()
        session = LiveSession(coded_spec(clock, fps=500), raising(clock))
        with pytest.raises(LiveError, match="CUDA"):
            async for _ in session:
                pass
        session.stop()

    asyncio.run(main())


def test_hosts_may_push_from_many_threads() -> None:
    clock, sink = SystemClock(), KeepingSink(SystemClock())
    with LiveSession(None, FakeModel(clock), [sink], Policy.offline()) as session:
        picture = coded_picture(0)
        tasks = [
            clock.spawn(lambda: [session.submit(picture) for _ in range(50)].clear(), f"host {index}")
            for index in range(4)
        ]
        assert all(task.join(10) for task in tasks)
        session.finish()
        assert session.wait(10)
    assert sink.seqs == list(range(200)) and session.stats().in_flight == 0
