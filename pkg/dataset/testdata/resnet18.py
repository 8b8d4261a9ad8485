"""Writes a network with the layers of ResNet-18 (He et al. 2016), random weights and no last layer, as PyTorch exports it with its batch
normalisation, and what onnxruntime makes of pictures that it is given as bytes: resnet18.py PIXELS.npy OUT.json NET.onnx"""

import json
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

random = np.random.default_rng(18)
nodes, weights = [], []


def weight(name, array):
    weights.append(numpy_helper.from_array(array.astype(np.float32), name))
    return name


def conv(x, name, channels, to, size, stride):
    w = weight(name + ".w", random.normal(0, np.sqrt(2 / (channels * size * size)), (to, channels, size, size)))
    nodes.append(helper.make_node("Conv", [x, w], [name], kernel_shape=[size, size], strides=[stride, stride], pads=[size // 2] * 4))
    numbers = [("scale", random.uniform(0.5, 1.5, to)), ("shift", random.normal(0, 0.2, to)),
               ("mean", random.normal(0, 0.2, to)), ("var", random.uniform(0.5, 1.5, to))]
    names = [weight(f"{name}.{n}", v) for n, v in numbers]
    nodes.append(helper.make_node("BatchNormalization", [name, *names], [name + ".bn"], epsilon=1e-5))
    return name + ".bn"


def relu(x):
    nodes.append(helper.make_node("Relu", [x], [x + ".relu"]))
    return x + ".relu"


def block(x, name, channels, to, stride):
    y = relu(conv(x, name + ".a", channels, to, 3, stride))
    y = conv(y, name + ".b", to, to, 3, 1)
    if channels != to:
        x = conv(x, name + ".short", channels, to, 1, stride)
    nodes.append(helper.make_node("Add", [x, y], [name]))
    return relu(name)


def main():
    pixels, out, path = sys.argv[1:]
    x = relu(conv("x", "stem", 3, 64, 7, 2))
    nodes.append(helper.make_node("MaxPool", [x], ["pool"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]))
    x, channels = "pool", 64
    for layer, to in enumerate([64, 128, 256, 512]):
        for i in range(2):
            x = block(x, f"layer{layer}.{i}", channels, to, 2 if i == 0 and layer > 0 else 1)
            channels = to
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["average"]))
    nodes.append(helper.make_node("Flatten", ["average"], ["features"], axis=1))
    graph = helper.make_graph(
        nodes, "resnet18", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 512])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)

    pictures = np.load(pixels)  # [pictures, height, width, 3]
    given = ((pictures / 255 - MEAN) / STD).astype(np.float32).transpose(0, 3, 1, 2)
    found = onnxruntime.InferenceSession(path).run(None, {"x": given})[0]
    json.dump(found.tolist(), open(out, "w"))


main()
