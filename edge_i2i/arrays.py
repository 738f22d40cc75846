"""The arrays that travel between rooms: one name for each kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Any tensor of a graph, in outside form: the shape and dtype that its declaration says."""

Picture = NDArray[np.uint8]
"""RGB, uint8 ``[H, W, 3]``."""

FloatPicture = NDArray[np.float32]
"""Float32 ``[H, W, 3]`` RGB, or ``[H, W]`` of one value a pixel."""
