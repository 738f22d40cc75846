"""The slot and the lane: everything comes out once, in order, or is counted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.live.threads.handover import Handover, HandoverClosedError, Lane, Slot
from samples.live.virtual_clock import VirtualClock


def test_in_a_slot_the_newest_wins_and_the_other_comes_back() -> None:
    with VirtualClock() as clock:
        slot: Slot[int] = Slot(clock)
        assert slot.put(1) is None and slot.put(2) == 1
        assert slot.take() == 2 and slot.take(0.5) is None and clock.now() == 0.5


def test_a_lane_waits_for_room_as_long_as_its_patience() -> None:
    with VirtualClock() as clock:
        lane: Lane[int] = Lane(clock, room=2, patience=0.25)
        assert lane.put(1) is None and lane.put(2) is None
        assert lane.put(3) == 3 and clock.now() == 0.25
        assert [lane.take(), lane.take(), lane.take(0)] == [1, 2, None]


@pytest.mark.parametrize("kind", [Slot, Lane])
def test_what_is_inside_a_closed_one_can_still_be_taken_unless_it_is_discarded(kind: type[Handover[int]]) -> None:
    with VirtualClock() as clock:
        kept, discarded = kind(clock), kind(clock)
        for handover in (kept, discarded):
            handover.put(7)
        assert kept.close() == [] and kept.take() == 7
        assert discarded.close(discard=True) == [7] and discarded.closed
        for handover in (kept, discarded):
            with pytest.raises(HandoverClosedError):
                handover.take()
            with pytest.raises(HandoverClosedError):
                handover.put(8)


def test_closing_wakes_those_who_wait_on_either_side() -> None:
    with VirtualClock() as clock:
        full: Lane[int] = Lane(clock, room=1)
        empty: Slot[int] = Slot(clock)
        full.put(1)
        ended: list[str] = []

        def expect_closed(wait: object, name: str) -> None:
            with pytest.raises(HandoverClosedError):
                wait()
            ended.append(name)

        tasks = [
            clock.spawn(lambda: expect_closed(lambda: full.put(2), "put"), "put"),
            clock.spawn(lambda: expect_closed(empty.take, "take"), "take"),
        ]
        clock.sleep(1)
        full.close()
        empty.close()
        assert all(task.join(1) for task in tasks) and sorted(ended) == ["put", "take"] and clock.now() == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 0.1), max_size=30),
    st.floats(0, 0.1),
    st.sampled_from(["slot", "lane", "impatient lane"]),
)
def test_everything_comes_out_once_and_in_order_or_comes_back(pauses: list[float], work: float, kind: str) -> None:
    with VirtualClock() as clock:
        handover: Handover[int] = Slot(clock) if kind == "slot" else Lane(clock, 3, None if kind == "lane" else 0.01)
        taken: list[int] = []
        returned: list[int] = []

        def consume() -> None:
            try:
                while True:
                    item = handover.take()
                    assert item is not None
                    taken.append(item)
                    clock.sleep(work)
            except HandoverClosedError:
                pass

        consumer = clock.spawn(consume, "consumer")
        for number, pause in enumerate(pauses):
            clock.sleep(pause)
            dropped = handover.put(number)
            returned += [] if dropped is None else [dropped]
        handover.close()
        assert consumer.join(100)
    assert taken == sorted(taken) and sorted(taken + returned) == list(range(len(pauses)))
    assert kind != "lane" or not returned
    assert not pauses or kind != "slot" or taken[-1] == len(pauses) - 1
