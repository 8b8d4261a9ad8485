"""onnxruntime: python peer_onnx.py DATA"""
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import contestant


def session(weights):
    """An inference session of the dense autoencoder with these weights and biases, layer by layer."""
    nodes, params, name = [], [], "x"
    for i, (weight, bias) in enumerate(weights):
        activation = "Tanh" if i == len(weights) - 1 else "Relu"
        nodes += [helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"a{i}"]),
                  helper.make_node(activation, [f"a{i}"], [f"h{i}"])]
        params += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        name = f"h{i}"
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 784])
    graph = helper.make_graph(nodes, "denoise", [value("x")], [value(name)],
                              params)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    onnx.checker.check_model(model)
    model.ir_version = 10  # the newest that onnxruntime reads may be older than onnx's newest
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def denoise(folder, **work):
    run = session(contestant.weights(folder, contestant.dense_layers())).run
    return contestant.denoised(folder, reconstruct=lambda x: run(None, {"x": x})[0], **work)


contestant.serve({"denoise": denoise})
