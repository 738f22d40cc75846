"""pix2pixHD's feature clusters: which looks an object of each class can have (paper section 3.3).

The encoder's features of the training pictures are clustered per class, offline. For a picture without an exemplar,
every object is painted with one cluster centre of its class. This module imports numpy only; scikit-learn is
imported where clusters are fitted.
"""

from __future__ import annotations

import hashlib
import pickle
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.errors import BadInputError, CheckpointError
from edge_i2i.files.whole import replacing
from edge_i2i.requirements import require

MOST_CLUSTERS = 10
"""Clusters per class, at most (official option ``n_clusters``)."""
LEAST_WEIGHT = 0.5
"""Objects below this size weight are left out of the clustering (official ``encode_features.py``)."""
_WEIGHT_UNIT = 32  # an object that covers 1/32 of the picture has weight 1
_FIRST_THING = 1000  # ids from here on are label * 1000 + k (Cityscapes); below, the id is the label
_KMEANS_STARTS = 10  # scikit-learn's default when the official code was written
_NPZ_PREFIX = "label_"
_LOOKUP_LIMIT = 2**20  # below, a table finds distinct ids much faster than sorting a whole picture


def label_of(instance: Array) -> Array:
    """Class of every instance id: the id itself below 1000 (stuff), else id // 1000 (things)."""
    return np.where(instance < _FIRST_THING, instance, instance // _FIRST_THING)


@dataclass(frozen=True, eq=False)
class FeatureClusters:
    """Cluster centres of the encoder's features: class → float32 ``[k, feat_num]`` in [-1, 1], k from 1 to 10."""

    centres: Mapping[int, Array]

    def __post_init__(self) -> None:
        """Keep read-only float32 copies, and refuse what no class could be painted with."""
        if not self.centres:
            raise BadInputError("Feature clusters need at least one class with a cluster.")
        kept = {int(label): _read_only(rows, label) for label, rows in sorted(self.centres.items())}
        widths = {rows.shape[1] for rows in kept.values()}
        if len(widths) > 1:
            raise BadInputError(f"Feature clusters differ in their number of features: {sorted(widths)}.")
        object.__setattr__(self, "centres", MappingProxyType(kept))

    @property
    def feat_num(self) -> int:
        """How many features a cluster centre has."""
        return int(next(iter(self.centres.values())).shape[1])

    @classmethod
    def fit(cls, samples: Iterable[tuple[Array, Array]]) -> FeatureClusters:
        """Cluster the encoder's features of many pictures, as the official ``encode_features.py`` does.

        Of every object, the features at the middle pixel of its pixel list (row by row) count once, if its weight
        (pixels / (H * W // 32)) is above 0.5. Up to 10 k-means clusters per class, random state 0.

        Args:
            samples: per picture, encoder features float ``[feat_num, H, W]`` and instance ids integer ``[H, W]``.

        Raises:
            BadInputError: a sample's arrays do not fit each other or hold NaN, or no object was large enough.
            MissingRequirementError: scikit-learn is not installed.
        """
        rows: dict[int, list[Array]] = {}
        for features, instances in samples:
            for label, row in _object_features(features, instances):
                rows.setdefault(label, []).append(row)
        if not rows:
            raise BadInputError(
                "No object covers enough of a picture to be clustered.",
                remedy=f"Give pictures with objects of more than 1/{int(_WEIGHT_UNIT / LEAST_WEIGHT)} of their area.",
            )
        return cls({label: _cluster(np.stack(found)) for label, found in rows.items()})

    @classmethod
    def read(cls, path: Path) -> FeatureClusters:
        """Read the official ``features_clustered_010.npy`` or our own ``.npz``.

        The official file is a pickle. It is read by an unpickler that can rebuild arrays of numbers and nothing else.

        Raises:
            CheckpointError: the file is missing, damaged, holds no clusters, or would execute code when loaded the
                ordinary way.
        """
        if not path.is_file():
            raise CheckpointError(f"There is no feature-cluster file {path}.", remedy="Check the path.")
        centres = _read_npz(path) if path.suffix == ".npz" else _read_official(path)
        try:
            return cls(centres)
        except BadInputError as error:
            raise CheckpointError(f"{path} holds no usable feature clusters: {error.what}") from error

    def write(self, path: Path) -> None:
        """Write an ``.npz`` file (no pickle inside) that ``read`` takes; an existing file is replaced in one step.

        Raises:
            BadInputError: the name does not end in ``.npz``, by which ``read`` tells the formats apart.
        """
        if path.suffix != ".npz":
            raise BadInputError(f"Feature clusters are written as .npz, not as '{path.name}'.")
        arrays: dict[str, Any] = {f"{_NPZ_PREFIX}{label}": rows for label, rows in self.centres.items()}
        with replacing(path) as unfinished, unfinished.open("wb") as file:  # opened: numpy would add a suffix
            np.savez(file, **arrays)

    def paint(self, label_map: Array | None, instance_map: Array, seed: int) -> Array:
        """Give every object of a picture one cluster centre of its class.

        The choice depends on (seed, label, instance id) alone, so an object keeps its look from frame to frame; the
        official code draws anew on every call, which flickers. Classes without clusters get zeros, the middle of the
        features' range; the official code leaves uninitialised memory there.

        Args:
            label_map: class of every pixel, integer ``[H, W]``; None takes it from the instance ids (``label_of``).
            instance_map: instance id of every pixel, integer ``[H, W]``.
            seed: another seed gives other looks.

        Returns:
            Features, float32 ``[feat_num, H, W]``, C-contiguous.

        Raises:
            BadInputError: the maps are not integer ``[H, W]`` arrays of one size.
        """
        _check_map(instance_map, "instance")
        labels = label_of(instance_map) if label_map is None else label_map
        _check_map(labels, "label")
        if labels.shape != instance_map.shape:
            raise BadInputError(
                f"The label map is {list(labels.shape)} and the instance map {list(instance_map.shape)}.",
                remedy="Give maps of one and the same picture.",
            )
        ids, at = _distinct(instance_map)
        pairs, which = _distinct(labels.reshape(-1).astype(np.int64) * len(ids) + at)
        rows = np.stack([self._row(int(pair) // len(ids), int(ids[pair % len(ids)]), seed) for pair in pairs])
        return np.ascontiguousarray(rows[which].T).reshape(self.feat_num, *instance_map.shape)

    def _row(self, label: int, instance: int, seed: int) -> Array:
        if label not in self.centres:
            return np.zeros(self.feat_num, np.float32)
        rows: Array = self.centres[label]
        # A hash rather than a random generator: the choice must survive numpy's next release.
        digest = hashlib.blake2b(f"{seed} {label} {instance}".encode(), digest_size=8).digest()
        chosen: Array = rows[int.from_bytes(digest, "little") % len(rows)]
        return chosen


def _read_only(rows: Array, label: int) -> Array:
    kept = np.array(rows, np.float32)
    if kept.ndim != 2 or 0 in kept.shape:
        raise BadInputError(f"The clusters of class {label} are {list(kept.shape)}, not [clusters, features].")
    if not np.isfinite(kept).all():
        raise BadInputError(f"The clusters of class {label} hold NaN or infinite values.")
    kept.setflags(write=False)
    return kept


def _distinct(values: Array) -> tuple[Array, Array]:
    """The distinct values in ascending order, and which of them every element is (flat)."""
    flat = values.reshape(-1)
    if flat.min() < 0 or flat.max() >= _LOOKUP_LIMIT:
        distinct, which = np.unique(flat, return_inverse=True)
        return distinct, which
    present = np.zeros(int(flat.max()) + 1, np.bool_)
    present[flat] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[flat]


def _check_map(values: Array, what: str) -> None:
    if values.ndim != 2 or values.size == 0 or not np.issubdtype(values.dtype, np.integer):
        raise BadInputError(f"The {what} map must be an integer [H, W] array, not {values.dtype} {list(values.shape)}.")


def _object_features(features: Array, instances: Array) -> list[tuple[int, Array]]:
    """(class, features at the middle pixel) of every object of one picture that is large enough."""
    _check_map(instances, "instance")
    if features.ndim != 3 or features.shape[1:] != instances.shape or not np.isfinite(features).all():
        raise BadInputError(
            f"Encoder features {list(features.shape)} do not fit the instance map {list(instances.shape)}: "
            "finite values of [feat_num, H, W] are needed."
        )
    unit = max(instances.size // _WEIGHT_UNIT, 1)  # the official code divides by zero below 32 pixels
    ids, at, counts = np.unique(instances.reshape(-1), return_inverse=True, return_counts=True)
    pixels = np.argsort(at, kind="stable")  # pixel lists of all objects, one after the other, each row by row
    middles = pixels[np.cumsum(counts) - counts + counts // 2]
    flat = features.reshape(len(features), -1)
    labels = label_of(ids)
    return [
        (int(label), flat[:, middle].astype(np.float64))
        for label, middle, count in zip(labels, middles, counts, strict=True)
        if count / unit > LEAST_WEIGHT
    ]


def _cluster(rows: Array) -> Array:
    cluster = require("sklearn.cluster", extra="train", purpose="Clustering encoder features")
    k = min(len(np.unique(rows, axis=0)), MOST_CLUSTERS)
    centres: Array = cluster.KMeans(n_clusters=k, n_init=_KMEANS_STARTS, random_state=0).fit(rows).cluster_centers_
    return centres


def _read_npz(path: Path) -> dict[int, Array]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {int(name.removeprefix(_NPZ_PREFIX)): arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> CheckpointError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return CheckpointError(
        f"{path} cannot be read as a feature-cluster file; it looks truncated or damaged ({reason}).",
        remedy="Copy it again, or give the features_clustered_010.npy that the official encode_features.py wrote.",
    )


class _ForbiddenObjectError(pickle.UnpicklingError):
    """The pickle names something that is not an array of numbers."""


# What the unpickler of damaged or hostile bytes may raise, besides UnpicklingError.
_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError),
    *(ValueError, tokenize.TokenError),
)


def _read_official(path: Path) -> dict[int, Array]:
    try:
        with path.open("rb") as file:
            _check_object_header(file)
            # Files born in Python 2 hold their bytes as text; latin1 maps each byte to the character of that number.
            loaded = _ArraysOnly(file, encoding="latin1").load()
        return _as_centres(loaded)
    except _ForbiddenObjectError as error:
        raise CheckpointError(
            f"{path} was refused: it names the Python object {error} and would execute code when loaded the ordinary "
            "way. Only arrays of numbers are read.",
            remedy="If you trust its origin, load it in the code that wrote it and save the arrays alone: "
            f"np.savez('clusters.npz', **{{f'{_NPZ_PREFIX}{{label}}': rows for label, rows in clusters.items()}}).",
        ) from error
    except _UNPICKLING_ERRORS as error:
        raise _damaged(path, error) from error


def _check_object_header(file: BufferedReader) -> None:
    """The part of a ``.npy`` file before the pickle must announce one Python object."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"an array {dtype} {list(shape)} instead of a dictionary of clusters")


def _as_centres(loaded: object) -> dict[int, Array]:
    # np.save wraps the dictionary into an array of one object.
    content = loaded.array() if isinstance(loaded, _PickledArray) else loaded
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__} instead of a dictionary of clusters")
    odd = [str(key) for key, value in content.items() if not (_is_label(key) and isinstance(value, _PickledArray))]
    if odd:
        raise ValueError(f"entries that are no arrays by class number: {', '.join(odd[:5])}")
    return {int(label): value.array() for label, value in content.items()}


def _is_label(key: object) -> bool:
    return isinstance(key, int) and not isinstance(key, bool)


_NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


class _PickledDType:
    """Stands in for ``numpy.dtype`` while unpickling: takes plain numbers and the object type, with a byte order."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in (*_NUMBERS, "O8"):
            raise ValueError(f"values of type {code!s:.20}")
        self.code = str(code)
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError("an unknown byte order")
        self.order = state[1]

    def real(self) -> np.dtype[Any]:
        return np.dtype(f"{self.order}{self.code}")


class _PickledArray:
    """Stands in for ``numpy.ndarray`` while unpickling; numpy's own state setter never sees foreign bytes."""

    def __init__(self, *_: object) -> None:
        self._state: tuple[Any, ...] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._state = state

    def array(self) -> Any:
        """The array of numbers, or the one object that the array holds."""
        if self._state is None:
            raise ValueError("an array without content")
        _, shape, dtype, fortran, data = self._state
        if dtype.code == "O8":
            if shape != () or len(data) != 1:
                raise ValueError("an array of several Python objects")
            return data[0]
        raw = data.encode("latin1") if isinstance(data, str) else data
        flat = np.frombuffer(raw, dtype.real())
        return flat.reshape(shape, order="F" if fortran else "C")


class _PickledBytes:
    """Stands in for ``_codecs.encode``, by which Python 3 writes bytes into old pickle protocols."""

    def __new__(cls, text: str, encoding: str) -> bytes:  # type: ignore[misc]
        if encoding != "latin1":
            raise _ForbiddenObjectError(f"_codecs.encode to '{encoding!s:.20}'")
        return text.encode("latin1")

    def __setstate__(self, state: object) -> None:
        """Refuse any state: without this method a pickle could set attributes on this class (opcode BUILD)."""
        raise _ForbiddenObjectError("state for _codecs.encode")


_STAND_INS: Mapping[tuple[str, str], object] = MappingProxyType(
    {
        ("numpy", "ndarray"): _PickledArray,
        ("numpy", "dtype"): _PickledDType,
        ("numpy.core.multiarray", "_reconstruct"): _PickledArray,
        ("numpy._core.multiarray", "_reconstruct"): _PickledArray,
        ("_codecs", "encode"): _PickledBytes,
    }
)


class _ArraysOnly(pickle.Unpickler):
    """Rebuilds arrays of numbers inside built-in containers; every other name is refused before it is imported."""

    def find_class(self, module: str, name: str) -> object:
        """The stand-in for one of the few names that arrays need.

        Raises:
            pickle.UnpicklingError: any other name.
        """
        if (module, name) not in _STAND_INS:
            raise _ForbiddenObjectError(f"{module}.{name}")
        return _STAND_INS[module, name]
