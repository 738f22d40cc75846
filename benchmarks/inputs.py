"""What several measuring programs run on: photographs, and a network that costs nothing."""

from __future__ import annotations

from pathlib import Path

from edge_i2i.bundle.manifest import ModelRecord
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec


def photographs(folder: Path) -> None:
    """Those that come with scikit-image and scikit-learn, whole and in four quarters each."""
    import cv2
    import numpy as np
    import skimage.data
    from sklearn.datasets import load_sample_images

    names = ("coffee", "chelsea", "astronaut", "rocket", "retina", "hubble_deep_field", "immunohistochemistry")
    pictures = [getattr(skimage.data, name)()[..., :3] for name in names] + list(load_sample_images().images)
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        parts = [picture, *(picture[y : y + height, x : x + width] for y in (0, height) for x in (0, width))]
        for part, view in enumerate(parts):
            cv2.imwrite(str(folder / f"{number:02d}-{part}.png"), np.ascontiguousarray(view[..., ::-1]))


def identity_bundle(target: Path, size: Size) -> Path:
    """A bundle whose network gives the frame itself: what is measured around it is ours."""
    import onnx
    from onnx import TensorProto, helper

    shape = [size.height, size.width, 3]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["frame"], ["image"])],
        "frame",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    frame, image = picture_spec("frame", Role.FRAME, size, "in"), picture_spec("image", Role.IMAGE, size, "out")
    with BundleWriter(target) as writer:
        declaration = GraphDeclaration("frame", GraphKind.FRAME, (frame,), (image,))
        writer.add_graph(
            declaration, variant="fp32", precision="fp32", opset=18, onnx=onnx.ModelProto.SerializeToString(model)
        )
        record = ModelRecord(family="none", title="identity", config={}, source="", licence="", weights="random")
        writer.finish(name="identity", model=record, size=size, recipe={})
    return target
