"""onnxruntime: python peer_onnx.py DATA"""
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import contestant


def session(weights):
    """An inference session of the dense autoencoder with these weights and biases, layer by layer."""
    nodes, name = [], "x"
    for i in range(len(weights) // 2):
        activation = "Tanh" if 2 * i + 2 == len(weights) else "Relu"
        nodes += [helper.make_node("Gemm", [name, f"p{2 * i}", f"p{2 * i + 1}"], [f"a{i}"]),
                  helper.make_node(activation, [f"a{i}"], [f"h{i}"])]
        name = f"h{i}"
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 784])
    graph = helper.make_graph(nodes, "denoise", [value("x")], [value(name)],
                              [numpy_helper.from_array(w, f"p{i}") for i, w in enumerate(weights)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    onnx.checker.check_model(model)
    model.ir_version = 10  # the newest that onnxruntime reads may be older than onnx's newest
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def denoise(folder):
    run = session(contestant.weights(folder)).run
    return contestant.denoised(folder, lambda x: run(None, {"x": x})[0])


contestant.serve({"denoise": denoise})
