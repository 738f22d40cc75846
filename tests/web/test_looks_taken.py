"""Styles that a network does not take are refused before anybody sees a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.errors import UsageError
from edge_i2i.translate.conditions import SEED
from edge_i2i.web.server import serve
from edge_i2i.web.styles import check_looks

Run = Callable[..., tuple[int, str, str]]
PICTURE = np.zeros((64, 64, 3), np.uint8)


@pytest.mark.parametrize(
    "given", [{"exemplar": PICTURE}, {SEED: 3}, {"style": PICTURE}, {"nonsense": 1}, {"image": PICTURE}]
)
def test_a_network_without_looks_is_offered_none(rgb_bundle: Path, given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"'mine' gives {next(iter(given))}, which .* does not take") as caught:
        serve(rgb_bundle, port=0, styles={"mine": given})
    assert caught.value.remedy == "It takes no looks."
    check_looks(open_bundle(rgb_bundle), {})


def test_the_verb_refuses_a_style_that_the_network_does_not_take(
    run_verb: Run, rgb_bundle: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "sunset.png"), PICTURE)
    code, _, err = run_verb("serve", str(rgb_bundle), "--port", "0", "--style", str(tmp_path / "sunset.png"))
    assert code == 2
    assert "'sunset' gives exemplar" in err
