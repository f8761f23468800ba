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
LAYERS = [(3, 16, 5, 2), (16, 32, 3, 1), (32, 32, 3, 1), (32, 16, 3, 2)]  # in, out, kernel, stride
weights, nodes, x = [], [], "x"
for i, (cin, cout, k, stride) in enumerate(LAYERS):
    weights += [init(f"w{i}", cout, cin, k, k, scale=(2 / (cin * k * k)) ** .5), init(f"b{i}", cout, scale=.1)]
    nodes += [h.make_node("Conv", [x, f"w{i}", f"b{i}"], [f"c{i}"], kernel_shape=[k, k], strides=[stride, stride],
                          pads=[k // 2] * 4), h.make_node("Relu", [f"c{i}"], [f"r{i}"])]
    x = f"r{i}"
# What the last layer gives on tiles of a synthetic slide (mean, spread): the scores are centred on it.
MEAN = np.array([1.0384, 0.0259, 0.1301, 0.0564, 1.2587, 0.0479, 0.1176, 0.3045,
                 0.008, 0.0012, 0.1397, 0.7048, 0.2307, 0.2239, 0.2597, 0.828], np.float32)
STD = np.array([0.3155, 0.0134, 0.0336, 0.0865, 0.2175, 0.0404, 0.0387, 0.1025,
                0.0053, 0.0014, 0.0423, 0.29, 0.2027, 0.0537, 0.0808, 0.2923], np.float32)
head = (rng.standard_normal((CLASSES, 16)) * .6 / STD).astype(np.float32)
weights += [nh.from_array(head, "wh"), nh.from_array((-head @ MEAN).astype(np.float32), "bh")]
nodes += [h.make_node("GlobalAveragePool", [x], ["g"]), h.make_node("Flatten", ["g"], ["f"]),
          h.make_node("Gemm", ["f", "wh", "bh"], ["y"], transB=1)]
graph = h.make_graph(nodes, "fault", [h.make_tensor_value_info("x", T.FLOAT, [1, 3, PX, PX])],
                     [h.make_tensor_value_info("y", T.FLOAT, [1, CLASSES])], weights)
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], producer_name="microtome")
model.ir_version = 7
onnx.checker.check_model(model)
data = model.SerializeToString()
os.makedirs(out, exist_ok=True)
open(out + "/model.onnx", "wb").write(data)
card = {"spec_version": "1.0", "architecture": "conv4", "num_classes": CLASSES, "patch_size_pixels": PX, "spacing_um_px": 1.0,
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
