"""Feature clusters: fitted as the authors fit them, read without trust, painted without flicker."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_i2i.errors import BadInputError, CheckpointError
from edge_i2i.models.pix2pixhd import features as pix2pixhd_features
from edge_i2i.models.pix2pixhd.features import FeatureClusters, label_of
from samples.models.hostile_files import Malicious

FIXTURES = Path(__file__).parents[1] / "fixtures"
CENTRES = {
    7: np.array([[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]], np.float32),
    26: np.linspace(-1, 1, 30, dtype=np.float32).reshape(10, 3),
}


@pytest.fixture
def clusters() -> FeatureClusters:
    return FeatureClusters(CENTRES)


def _same(got: FeatureClusters, wanted: dict[int, NDArray[Any]]) -> None:
    assert list(got.centres) == sorted(wanted)
    for label, rows in wanted.items():
        np.testing.assert_allclose(got.centres[label], rows, rtol=1e-6)
        assert got.centres[label].dtype == np.float32


# --- fitting


def _authors_sample(k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """See fixtures/README.md, step 5."""
    random = np.random.RandomState(700 + k)
    blocks = random.choice([0, 4, 7, 7, 24000, 24001, 26003], (3, 4)).astype(np.int32)
    instances = np.repeat(np.repeat(blocks, 8, 0), 6, 1)
    instances[2:4, 3:6] = 11
    return random.uniform(-1, 1, (3, 24, 24)).astype(np.float32), instances


def test_fitting_gives_the_authors_clusters() -> None:
    got = FeatureClusters.fit(_authors_sample(k) for k in range(16))
    with np.load(FIXTURES / "pix2pixhd_reference.npz") as reference:
        wanted = {int(n.removeprefix("clusters.")): reference[n] for n in reference.files if n.startswith("clusters.")}
    assert list(got.centres) == sorted(wanted)
    for label, rows in wanted.items():
        np.testing.assert_allclose(np.sort(got.centres[label], axis=0), np.sort(rows, axis=0), atol=1e-5)


def test_the_middle_pixel_of_an_object_is_taken_row_by_row() -> None:
    instances = np.full((8, 8), 5)
    instances[:, 4:] = 24000
    features = np.arange(64, dtype=np.float32).reshape(1, 8, 8) / 64
    got = FeatureClusters.fit([(features, instances)])
    assert float(got.centres[5][0, 0]) == features[0][instances == 5][16]
    assert float(got.centres[24][0, 0]) == features[0][instances == 24000][16]


@pytest.mark.parametrize(("pixels", "counts"), [(16, False), (17, True)])
def test_only_objects_above_half_a_weight_are_clustered(pixels: int, counts: bool) -> None:
    instances = np.zeros((32, 32), np.int32)  # weight 1 is 32 pixels
    instances.reshape(-1)[:pixels] = 9
    got = FeatureClusters.fit([(np.zeros((3, 32, 32), np.float32), instances)])
    assert (9 in got.centres) is counts


def test_equal_objects_make_one_cluster_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    sample = (np.full((3, 8, 8), 0.25, np.float32), np.full((8, 8), 4))
    got = FeatureClusters.fit([sample] * 5)
    assert got.centres[4].shape == (1, 3)
    assert not recwarn.list


def test_a_picture_of_fewer_than_32_pixels_can_be_fitted() -> None:
    got = FeatureClusters.fit([(np.zeros((3, 2, 2), np.float32), np.full((2, 2), 3))])
    assert got.centres[3].shape == (1, 3)


@pytest.mark.parametrize(
    ("features", "instances"),
    [
        (np.zeros((3, 8, 8), np.float32), np.zeros((8, 9), np.int32)),
        (np.zeros((3, 8, 8), np.float32), np.zeros((8, 8), np.float32)),
        (np.full((3, 8, 8), np.nan, np.float32), np.zeros((8, 8), np.int32)),
        (np.zeros((8, 8), np.float32), np.zeros((8, 8), np.int32)),
    ],
)
def test_samples_that_do_not_fit_are_refused(features: NDArray[Any], instances: NDArray[Any]) -> None:
    with pytest.raises(BadInputError) as caught:
        FeatureClusters.fit([(features, instances)])
    assert caught.value.exit_code == 4


def test_no_object_large_enough_is_an_error() -> None:
    with pytest.raises(BadInputError, match="No object covers enough"):
        FeatureClusters.fit([(np.zeros((3, 64, 64), np.float32), np.arange(4096).reshape(64, 64))])


# --- the value itself


def test_labels_follow_the_cityscapes_rule() -> None:
    assert label_of(np.array([0, 7, 999, 1000, 24001, 33999])).tolist() == [0, 7, 999, 1, 24, 33]


def test_centres_cannot_be_changed(clusters: FeatureClusters) -> None:
    with pytest.raises(ValueError, match="read-only"):
        clusters.centres[7][0, 0] = 1.0
    with pytest.raises(TypeError):
        clusters.centres[8] = CENTRES[7]  # type: ignore[index]


@pytest.mark.parametrize(
    ("centres", "message"),
    [
        ({}, "at least one class"),
        ({3: np.zeros((2, 3)), 4: np.zeros((2, 4))}, "differ in their number of features"),
        ({3: np.zeros(3)}, r"class 3 are \[3\]"),
        ({3: np.zeros((0, 3))}, r"\[0, 3\]"),
        ({3: np.full((1, 3), np.inf)}, "NaN or infinite"),
    ],
)
def test_useless_centres_are_refused(centres: dict[int, NDArray[Any]], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        FeatureClusters(centres)


# --- files


def test_our_own_file_comes_back_as_it_was(clusters: FeatureClusters, tmp_path: Path) -> None:
    path = tmp_path / "clusters.npz"
    path.write_bytes(b"what was there before")
    clusters.write(path)
    _same(FeatureClusters.read(path), CENTRES)
    assert [file.name for file in tmp_path.iterdir()] == ["clusters.npz"]


def test_clusters_are_written_as_npz_only(clusters: FeatureClusters, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"\.npz"):
        clusters.write(tmp_path / "clusters.npy")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f8"])
def test_the_official_file_is_read(dtype: str, order: Any, tmp_path: Path) -> None:
    centres = {label: np.asarray(rows, dtype, order=order) for label, rows in CENTRES.items()}
    np.save(tmp_path / "features_clustered_010.npy", centres)  # type: ignore[arg-type]
    _same(FeatureClusters.read(tmp_path / "features_clustered_010.npy"), CENTRES)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_files_of_every_numpy_age_are_read(protocol: int, tmp_path: Path) -> None:
    """Old numpy wrote protocol 2 or 3, and named its module numpy.core rather than numpy._core."""
    wrapped = np.array(CENTRES, dtype=object)
    content = pickle.dumps(wrapped, protocol=protocol)
    if protocol < 4:  # without lengths in front of names, the name can be replaced in place
        content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path = _npy(tmp_path, content)
    _same(FeatureClusters.read(path), CENTRES)


def test_a_file_born_in_python_2_is_read(tmp_path: Path) -> None:
    """Python 2 wrote an array's bytes as text (opcode BINSTRING), which only latin1 takes back unharmed."""
    rows = np.array([[0.1, -0.7, 0.9]], "<f8")
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K\x01K\x03tcnumpy\ndtype\n"
        b"(U\x02f8K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbI00\n"
        + b"T" + struct.pack("<i", rows.nbytes) + rows.tobytes() + b"tb"
    )  # fmt: skip
    content = b"\x80\x02}K\x17" + array + b"s."
    assert pickle.loads(content, encoding="latin1")[23].tolist() == rows.tolist()  # it is a real one
    _same(FeatureClusters.read(_npy(tmp_path, content)), {23: rows})


def _npy(folder: Path, content: bytes) -> Path:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    path = folder / "features_clustered_010.npy"
    path.write_bytes(file.getvalue() + content)
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_file_that_would_execute_code_is_refused_and_does_not(protocol: int, tmp_path: Path) -> None:
    sentinel = tmp_path / "executed"
    path = _npy(tmp_path, pickle.dumps({7: Malicious(sentinel)}, protocol=protocol))
    with pytest.raises(CheckpointError, match=r"was refused: it names the Python object \w+\.system") as caught:
        FeatureClusters.read(path)
    assert str(path) in caught.value.what
    assert caught.value.exit_code == 4
    assert not sentinel.exists()


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(OrderedDict(CENTRES), protocol=4),
        b"cnumpy\nload\n(Vx.npy\ntR.",
        b"c_codecs\nencode\n(Vtext\nVzlib\ntR.",
        b"cbuiltins\neval\n(V1\ntR.",
        b"cedge_i2i.models.pix2pixhd_features\nos\n.",
    ],
)
def test_every_other_name_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="was refused"):
        FeatureClusters.read(_npy(tmp_path, content))


@pytest.mark.parametrize("name", [b"c_codecs\nencode\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"])
@pytest.mark.parametrize("state", [b"}Vmark\nK\x01s", b"N}Vmark\nK\x01s\x86"])
def test_a_pickle_cannot_change_what_stands_in_for_numpy(name: bytes, state: bytes, tmp_path: Path) -> None:
    """Opcode BUILD sets attributes on whatever object it is given, classes and functions included."""
    with pytest.raises(CheckpointError):
        FeatureClusters.read(_npy(tmp_path, name + state + b"b."))
    stand_ins = pix2pixhd_features._STAND_INS.values()
    assert not any(hasattr(stand_in, "mark") for stand_in in stand_ins)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps([1, 2]),
        pickle.dumps({"7": CENTRES[7]}, protocol=4),
        pickle.dumps({True: CENTRES[7]}, protocol=4),
        pickle.dumps({7: [1.0, 2.0]}),
        pickle.dumps({7: np.array(["a", "b"])}, protocol=4),
        pickle.dumps({7: np.array([{}, {}])}, protocol=4),
        pickle.dumps(np.array([CENTRES, CENTRES]), protocol=4),
        pickle.dumps({7: CENTRES[7]}, protocol=4)[:-20],
        b"cnumpy\nndarray\n(tR.",
        b"cnumpy\nndarray\n.",
        b"",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
)
def test_other_contents_are_called_damaged(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="looks truncated or damaged") as caught:
        FeatureClusters.read(_npy(tmp_path, content))
    assert caught.value.exit_code == 4


def test_a_plain_array_is_not_a_cluster_file(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.zeros((3, 4)))
    with pytest.raises(CheckpointError, match="instead of a dictionary of clusters"):
        FeatureClusters.read(tmp_path / "plain.npy")


def test_an_empty_dictionary_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"features_clustered_010\.npy holds no usable feature clusters"):
        FeatureClusters.read(_npy(tmp_path, pickle.dumps({})))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no feature-cluster file .*none\.npy") as caught:
        FeatureClusters.read(tmp_path / "none.npy")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("name", ["bytes.npz", "bytes.npy"])
@given(data=st.binary(max_size=200))
@settings(max_examples=30, deadline=None)
def test_random_bytes_are_refused(data: bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        FeatureClusters.read(path)


@pytest.mark.parametrize("name", ["changed.npz", "changed.npy"])
@given(at=st.integers(0, 2000), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_or_a_cut_never_escapes(
    at: int, byte: int, cut: bool, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A changed number may pass; anything else must be our own error, never another."""
    path = tmp_path_factory.getbasetemp() / name
    if path.suffix == ".npz":
        FeatureClusters(CENTRES).write(path)
    else:
        np.save(path, CENTRES)  # type: ignore[arg-type]
    content = bytearray(path.read_bytes())
    at %= len(content)
    if cut:
        del content[at:]
    else:
        content[at] = byte
    path.write_bytes(content)
    try:
        FeatureClusters.read(path)
    except CheckpointError:
        return
    assert not cut or path.suffix == ".npz"


# --- painting

LABELS = np.array([[7, 7, 26, 26], [7, 7, 26, 26], [1, 1, 26, 26]], np.uint8)
INSTANCES = np.array([[7, 7, 26000, 26001], [7, 7, 26000, 26001], [1, 1, 26000, 26001]], np.int32)


def test_every_object_gets_one_cluster_of_its_class(clusters: FeatureClusters) -> None:
    painted = clusters.paint(LABELS, INSTANCES, seed=3)
    assert painted.shape == (3, 3, 4)
    assert painted.dtype == np.float32
    assert painted.flags.c_contiguous
    for label, instance in [(7, 7), (26, 26000), (26, 26001)]:
        rows = np.unique(painted[:, instance == INSTANCES].T, axis=0)
        assert len(rows) == 1
        assert rows[0].tolist() in clusters.centres[label].tolist()


def test_classes_without_clusters_are_painted_zero(clusters: FeatureClusters) -> None:
    assert not clusters.paint(LABELS, INSTANCES, seed=3)[:, LABELS == 1].any()
    assert not clusters.paint(np.full((2, 2), 33), np.full((2, 2), 33000), seed=0).any()


def test_without_a_label_map_the_instance_ids_say_the_class(clusters: FeatureClusters) -> None:
    np.testing.assert_array_equal(clusters.paint(None, INSTANCES, 5), clusters.paint(LABELS, INSTANCES, 5))


def test_an_object_keeps_its_look_when_others_come_and_go(clusters: FeatureClusters) -> None:
    whole = clusters.paint(LABELS, INSTANCES, seed=1)
    moved = np.full((5, 6), 26001)
    alone = clusters.paint(None, moved, seed=1)
    np.testing.assert_array_equal(alone[:, 0, 0], whole[:, 0, 3])


def test_seeds_and_instances_draw_from_all_clusters(clusters: FeatureClusters) -> None:
    crowd = np.arange(26000, 26400).reshape(20, 20)
    painted = clusters.paint(None, crowd, seed=0)
    counts = np.unique(painted[0], return_counts=True)[1]
    assert len(counts) == 10
    assert counts.min() >= 15
    assert not np.array_equal(painted, clusters.paint(None, crowd, seed=1))


def test_the_choice_is_fixed_for_all_time(clusters: FeatureClusters) -> None:
    """Changing it would change every picture that was made before."""
    crowd = np.arange(26000, 26008).reshape(1, 8)
    chosen = [CENTRES[26][:, 0].tolist().index(value) for value in clusters.paint(None, crowd, seed=0)[0, 0].tolist()]
    assert chosen == [8, 0, 7, 5, 5, 0, 7, 5]


@given(
    blocks=st.lists(
        st.lists(st.sampled_from([0, 7, 26, 26000, 26017, 7001, 2**31 - 1]), min_size=3, max_size=3), min_size=1
    ),
    seed=st.integers(0, 2**63),
)
@settings(deadline=None)
def test_painting_equals_a_loop_over_pixels(blocks: list[list[int]], seed: int) -> None:
    clusters = FeatureClusters(CENTRES)
    instances = np.array(blocks)
    painted = clusters.paint(None, instances, seed)
    for (row, column), instance in np.ndenumerate(instances):
        alone = clusters.paint(None, np.array([[instance]]), seed)
        np.testing.assert_array_equal(painted[:, row, column], alone[:, 0, 0])


@pytest.mark.parametrize(
    ("labels", "instances", "message"),
    [
        (LABELS, INSTANCES[:2], r"label map is \[3, 4\] and the instance map \[2, 4\]"),
        (LABELS, INSTANCES.astype(np.float32), "instance map must be an integer"),
        (LABELS.astype(np.float32), INSTANCES, "label map must be an integer"),
        (None, np.zeros((0, 4), np.int32), "instance map must be an integer"),
        (None, np.zeros((1, 3, 4), np.int32), "instance map must be an integer"),
    ],
)
def test_maps_that_do_not_fit_are_refused(
    clusters: FeatureClusters, labels: NDArray[Any] | None, instances: NDArray[Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        clusters.paint(labels, instances, 0)
    assert caught.value.exit_code == 4
