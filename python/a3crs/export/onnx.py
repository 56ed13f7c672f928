"""ONNX model of the network, whose input is the agent's observation: built from the layers, without PyTorch.

Inputs are `obs`, uint8 (n, channels, height, width) or float32 (n, len), and with an LSTM `state_in` (n, state_len),
zeros at the start of an episode. Outputs are `policy` (logits) and `value`, or `q`, or `mu`, `sigma` and `value`, and
with an LSTM `state_out`. The model scales observations itself.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from a3crs.agent import Agent
from a3crs.checkpoint import parameters
from a3crs.envs import ImageObs
from a3crs.errors import RunError
from a3crs.files import replacing

OPSET = 18
IR_VERSION = 9  # of ONNX 1.14, the first with this opset, so that older runtimes can read the model
CHECKED = 64  # random observations
LARGEST_ERROR = 1e-3  # relative to outputs above 1; in single precision the order of a sum matters


def write_model(agent: Agent, path: Path) -> str:
    """Writes the model and compares it with our own forward pass; raises RunError where the two differ."""
    model = Graph(agent).model()
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    error = largest_error(agent, content)
    if not error < LARGEST_ERROR:
        raise RunError(f"The ONNX model differs from the agent by up to {error:.1e}: please report this.")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))
    return (
        f"{path}: ONNX opset {OPSET}, {', '.join(inputs)} -> {', '.join(outputs)}; differs from the agent by up to "
        f"{error:.1e} in onnxruntime"
    )


def largest_error(agent: Agent, content: bytes) -> float:
    """Returns the largest error over random observations and states, relative to outputs above 1."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    spec = agent.env_spec.obs
    if isinstance(spec, ImageObs):
        obs: NDArray[Any] = rng.integers(0, 256, (CHECKED, spec.channels, spec.height, spec.width), np.uint8)
    else:
        obs = rng.normal(size=(CHECKED, spec.len)).astype(np.float32)
    feeds = {"obs": obs}
    state_len = agent.describe()["state_len"]
    state = rng.uniform(-0.5, 0.5, (CHECKED, state_len)).astype(np.float32) if state_len else None
    if state is not None:
        feeds["state_in"] = state
    names = [output.name for output in session.get_outputs()]
    theirs = dict(zip(names, session.run(names, feeds), strict=True))
    ours = agent.outputs(obs, state)
    return max(float(np.max(np.abs(theirs[n] - ours[n]) / np.maximum(1, np.abs(ours[n])))) for n in names)


class Graph:
    """Builder of the nodes and tensors of a network, layer by layer."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._about = agent.describe()
        self._theta = parameters(agent.learned())
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._heads: dict[str, str] = {}  # parts of the output y
        self._states: list[str] = []
        self._state_offset = 0

    def model(self) -> onnx.ModelProto:
        """Returns the complete model."""
        obs = self._observation()
        outputs: list[str] = []
        for layer in self._about["layers"]:
            inputs_of = [obs if i is None else outputs[i] for i in layer["inputs"]]
            outputs.append(self._layer(layer, inputs_of))
        spec = self._agent.env_spec.obs
        if isinstance(spec, ImageObs):
            inputs = [_value("obs", TensorProto.UINT8, spec.channels, spec.height, spec.width)]
        else:
            inputs = [_value("obs", TensorProto.FLOAT, spec.len)]
        results = [_value(name, TensorProto.FLOAT, size) for name, size in self._results()]
        if state_len := self._about["state_len"]:
            inputs.append(_value("state_in", TensorProto.FLOAT, state_len))
            self._node("Concat", self._states, "state_out", axis=1)
            results.append(_value("state_out", TensorProto.FLOAT, state_len))
        graph = helper.make_graph(self._nodes, f"{self._agent.config.env}", inputs, results, self._tensors)
        about = f"{self._agent.config.algo} {self._agent.config.net}, T = {self._agent.steps}"
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="a3crs", doc_string=about)
        model.ir_version = IR_VERSION
        return model

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def _tensor(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        self._tensors.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def _observation(self) -> str:
        if isinstance(self._agent.env_spec.obs, ImageObs):
            self._node("Cast", ["obs"], "obs_float", to=TensorProto.FLOAT)
            return self._node("Mul", ["obs_float", self._tensor("scale", 1 / 255)], "x")
        scale = self._about["scale"]
        if scale is None:
            return "obs"
        self._node("Sub", ["obs", self._tensor("mean", scale["mean"])], "centred")
        self._node("Mul", ["centred", self._tensor("inverse_deviation", scale["inverse_deviation"])], "scaled")
        limits = [self._tensor("least", -scale["limit"]), self._tensor("most", scale["limit"])]
        return self._node("Clip", ["scaled", *limits], "x")

    def _layer(self, layer: dict[str, Any], inputs: list[str]) -> str:
        if layer["is_top"]:
            for column in layer["columns"]:
                name = column["name"]
                self._heads[name] = (
                    self._tensor(name, self._theta[name])
                    if layer["kind"] == "constant"
                    else self._linear(name, *inputs)
                )
            return ""  # no layer reads a head
        (column,) = layer["columns"]
        name = column["name"]
        match layer["kind"]:
            case "conv2d":
                output = self._conv(name, inputs[0], layer["stride"])
            case "linear":
                output = self._linear(name, *inputs)
            case "sum":
                output = self._node("Sum", inputs, f"{name}.out")
            case "lstm":
                output = self._lstm(name, *inputs)
            case other:
                raise ValueError(f"a layer of kind {other!r} cannot be exported")
        if layer["activation"] == "identity":
            return output
        return self._node(layer["activation"].title(), [output], f"{name}.{layer['activation']}")

    def _conv(self, name: str, below: str, stride: int) -> str:
        tensors = [self._tensor(f"{name}.{part}", self._theta[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self._node("Conv", [below, *tensors], f"{name}.out", strides=[stride, stride])

    def _linear(self, name: str, below: str, weight: str = "weight", bias: str = "bias") -> str:
        flat = self._node("Flatten", [below], f"{name}.{weight}.in", axis=1)
        tensors = [self._tensor(f"{name}.{part}", self._theta[f"{name}.{part}"]) for part in (weight, bias) if part]
        return self._node("Gemm", [flat, *tensors], f"{name}.{weight}.out", transB=1)

    def _lstm(self, name: str, below: str) -> str:
        """Adds one step of an LSTM; the gates are in the order i, f, g, o."""
        cells = self._theta[f"{name}.weight_hh"].shape[1]
        h, c = (self._slice(f"{name}.{part}", cells) for part in ("h", "c"))
        z = [self._linear(name, below, "weight_ih"), self._linear(name, h, "weight_hh", "")]
        self._node("Add", z, f"{name}.z")
        gates = [f"{name}.{gate}" for gate in "ifgo"]
        self._nodes.append(helper.make_node("Split", [f"{name}.z"], [f"{g}.z" for g in gates], axis=1, num_outputs=4))
        i, f, g, o = (self._node("Tanh" if gate.endswith("g") else "Sigmoid", [f"{gate}.z"], gate) for gate in gates)
        kept, new = self._node("Mul", [f, c], f"{name}.kept"), self._node("Mul", [i, g], f"{name}.new")
        c_next = self._node("Add", [kept, new], f"{name}.c_next")
        h_next = self._node("Mul", [o, self._node("Tanh", [c_next], f"{name}.c_tanh")], f"{name}.h_next")
        self._states += [h_next, c_next]
        return h_next

    def _slice(self, name: str, length: int) -> str:
        start, self._state_offset = self._state_offset, self._state_offset + length
        ends = [
            self._tensor(f"{name}.{what}", [at], np.int64) for what, at in (("from", start), ("to", start + length))
        ]
        return self._node("Slice", ["state_in", *ends, self._tensor(f"{name}.axis", [1], np.int64)], name)

    def _results(self) -> list[tuple[str, int]]:
        """Adds the heads under their public names; returns the names with their lengths."""
        spread = next((name for name in self._heads if name in ("policy.log_sigma", "policy.variance")), None)
        if spread is None:
            names = {name: name for name in self._heads}
        else:
            self._sigma(spread)
            names = {"policy.mu": "mu", "value.v": "value"}
        sizes = {"sigma": self._agent.env_spec.actions.dims} if spread else {}  # type: ignore[union-attr]  # a Gaussian
        for head, name in names.items():
            self._node("Identity", [self._heads[head]], name)
            sizes[name] = len(self._theta[f"{head}.bias"])
        return list(sizes.items())

    def _sigma(self, spread: str) -> None:
        """Adds sigma for each component, in the shape of mu."""
        if spread == "policy.variance":
            variance = self._node("Softplus", [self._heads[spread]], "variance")
        else:
            twice = self._node("Add", [self._heads[spread]] * 2, "twice_log_sigma")
            variance = self._node("Exp", [twice], "variance")
        floor = self._tensor("min_variance", self._about["min_variance"])
        sigma = self._node("Sqrt", [self._node("Add", [variance, floor], "variance_floored")], "sigma_own")
        shape = self._node("Shape", [self._heads["policy.mu"]], "shape")
        self._node("Expand", [sigma, shape], "sigma")


def _value(name: str, kind: int, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["n", *shape])
