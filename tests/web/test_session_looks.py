"""Each tab wears a look of its own; looks that cannot be are said so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

import edge_i2i
from edge_i2i.translate.translator import Translator
from edge_i2i.web.encoding import encode
from edge_i2i.web.server import Server
from edge_i2i.web.wire import WireFormat
from samples.web.tab_client import Answer, encoded, photo, tab

RED = np.full((64, 64, 3), (255, 0, 0), np.uint8)


def served(translator: Translator, picture: np.ndarray) -> bytes:
    """What a tab gets for a picture that it sends as JPEG, to the byte."""
    stored = cv2.imdecode(np.frombuffer(encoded(picture), np.uint8), cv2.IMREAD_COLOR)
    return encode(translator(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)), WireFormat.JPEG)


def difference(first: Answer, second: Answer) -> float:
    return float(np.abs(first.picture.astype(int) - second.picture).mean())


def test_each_tab_has_its_own_look(style_server: Server, style_bundle: Path) -> None:
    picture = encoded(photo())

    async def use() -> None:
        async with tab(style_server) as first, tab(style_server) as second:
            await first.wear(style_seed=1)
            await second.wear(style="seed-2")
            for _ in range(2):
                ones, twos = await first.translate(1, picture), await second.translate(1, picture)
                assert difference(ones, twos) > 3
            assert (ones.encoded, twos.encoded) == (expected[1], expected[2])
            await second.wear(style_seed=1)
            assert difference(ones, await second.translate(2, picture)) == 0

    expected = {}
    with edge_i2i.load(style_bundle, engine="onnxruntime", threads=1) as translator:
        for seed in (1, 2):
            translator.condition(style_seed=seed)
            expected[seed] = served(translator, photo())
    asyncio.run(use())


def test_looks_are_mixed_and_exemplars_are_worn(style_server: Server, style_bundle: Path) -> None:
    picture, exemplar = encoded(photo()), photo(80, 100, seed=3)

    async def use() -> None:
        async with tab(style_server) as client, httpx.AsyncClient() as http:
            answer = await http.post(f"{style_server.url}exemplar", content=encoded(exemplar, ".png"))
            number = answer.json()["id"]
            await client.wear(style_seed=1)
            await client.wear(exemplar=number)
            worn = await client.translate(1, picture)
            await client.wear(mix=0.5)
            halfway = await client.translate(2, picture)
            await client.wear(mix=0.0)
            other = await client.translate(3, picture)
            await client.wear(mix=0.5, **{"from": {"style_seed": 2}})
            another = await client.translate(4, picture)
            await client.wear(mix=1)
            assert difference(worn, await client.translate(5, picture)) == 0
        assert [item.encoded for item in (worn, halfway, other, another)] == expected

    expected: list[bytes] = []
    with edge_i2i.load(style_bundle, engine="onnxruntime", threads=1) as translator:
        looks = {"exemplar": exemplar}, {"style_seed": 1}, {"style_seed": 2}
        for first, share in ((looks[1], 1.0), (looks[1], 0.5), (looks[1], 0.0), (looks[2], 0.5)):
            translator.mix(first, looks[0], share)
            expected.append(served(translator, photo()))
    assert len(set(expected)) == 4
    asyncio.run(use())


@pytest.mark.parametrize(
    ("look", "words"),
    [
        ({"style": "none"}, "no style"),
        ({"exemplar": "none"}, "not kept any more"),
        ({"attributes": {"Smiling": 1}}, "no attributes"),
    ],
)
def test_a_look_that_cannot_be_is_said_so_and_the_one_before_stays(
    style_server: Server, look: dict[str, Any], words: str
) -> None:
    picture = encoded(photo())

    async def use() -> None:
        async with tab(style_server) as client:
            await client.wear(style_seed=4)
            before = await client.translate(1, picture)
            await client.ask(type="look", **look)
            said = await client.said("error")
            assert words in said["what"] and said["remedy"]
            assert difference(before, await client.translate(2, picture)) == 0
            await client.wear(style_seed=5)

    asyncio.run(use())


def test_a_slider_that_is_dragged_ends_where_it_was_let_go(style_server: Server) -> None:
    picture = encoded(photo())

    async def use() -> None:
        async with tab(style_server) as dragged, tab(style_server) as set_:
            for client in (dragged, set_):
                await client.wear(style_seed=1)
                await client.wear(style_seed=2)
            for step in range(40):
                await dragged.ask(type="look", mix=step / 40)
            await dragged.ask(type="look", mix=0.25)
            while (await dragged.said("look"))["mix"] != 0.25:
                pass
            await set_.wear(mix=0.25)
            assert difference(await dragged.translate(1, picture), await set_.translate(1, picture)) == 0

    asyncio.run(use())
