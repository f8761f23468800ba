#!/usr/bin/python3
"""Makes tests/fault/model: a small random network whose scores differ from tile to tile.

It knows nothing of tissue; the tests need a model that is quick, deterministic and not constant."""
import hashlib, json, os, sys
import numpy as np, onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

PX, CLASSES = 64, 3
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model")
rng = np.random.default_rng(20)
def init(name, *shape, scale):
    return nh.from_array((rng.standard_normal(shape) * scale).astype(np.float32), name)
weights = [init("w1", 8, 3, 5, 5, scale=.15), init("b1", 8, scale=.1), init("w2", 16, 8, 3, 3, scale=.15),
           init("b2", 16, scale=.1), init("w3", CLASSES, 16, scale=3.), init("b3", CLASSES, scale=.1)]
nodes = [h.make_node("Conv", ["x", "w1", "b1"], ["c1"], kernel_shape=[5, 5], strides=[2, 2], pads=[2, 2, 2, 2]),
         h.make_node("Relu", ["c1"], ["r1"]),
         h.make_node("Conv", ["r1", "w2", "b2"], ["c2"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
         h.make_node("Relu", ["c2"], ["r2"]), h.make_node("GlobalAveragePool", ["r2"], ["g"]),
         h.make_node("Flatten", ["g"], ["f"]), h.make_node("Gemm", ["f", "w3", "b3"], ["y"], transB=1)]
graph = h.make_graph(nodes, "fault", [h.make_tensor_value_info("x", T.FLOAT, [1, 3, PX, PX])],
                     [h.make_tensor_value_info("y", T.FLOAT, [1, CLASSES])], weights)
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], producer_name="microtome")
model.ir_version = 7
onnx.checker.check_model(model)
data = model.SerializeToString()
os.makedirs(out, exist_ok=True)
open(out + "/model.onnx", "wb").write(data)
card = {"spec_version": "1.0", "architecture": "conv2", "num_classes": CLASSES, "patch_size_pixels": PX, "spacing_um_px": 1.0,
        "class_names": ["plain", "odd", "other"],
        "transform": [{"name": "Resize", "arguments": {"size": PX}}, {"name": "ToTensor"},
                      {"name": "Normalize", "arguments": {"mean": [.7, .6, .7], "std": [.2, .2, .2]}}],
        "engine": {"name": "fault-test", "version": "1.0.0", "file": "model.onnx", "task": "tile-classification",
                   "sha256": hashlib.sha256(data).hexdigest(), "input": {"name": "x", "layout": "NCHW"},
                   "outputs": [{"name": "y", "activation": "softmax"}], "positive_class": "odd",
                   "thresholds": [{"name": "tile", "value": 0.5, "chosen_on": "nothing"}], "license": "CC0-1.0",
                   "intended_use": "tests of the engine", "not_for": "anything else"}}
json.dump(card, open(out + "/config.json", "w"), indent=1)
print(len(data))
