"""edge-i2i: image-to-image translation networks, from research checkpoint to real-time frames on small machines.

What programs embed is here, and only here: names deeper in the package may move. ``__init__.pyi`` lists them, and
docs/api.md tells what each does. Nothing is imported before it is used: ``import edge_i2i`` itself loads no engine, no
numpy, no OpenCV.

>>> import edge_i2i
>>> translator = edge_i2i.load("model.i2i")      # doctest: +SKIP
>>> picture = translator(frame)                  # doctest: +SKIP
"""

import lazy_loader

from edge_i2i.telemetry import switch_off_telemetry

__version__ = "0.1.0"
__getattr__, __dir__, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = [*_names, "__version__"]

switch_off_telemetry()
