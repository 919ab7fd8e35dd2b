"""The Triton repository that the export writes fits the graphs that it wrote."""

import pytest
from google.protobuf import text_format

from obclip.plan import STEP_KIND_GRAPHS

ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: cloud)")
pb = pytest.importorskip(
    "tritonclient.grpc.model_config_pb2", reason="tritonclient is not installed (extra: cloud)"
)


@pytest.mark.timeout(900)  # the session's one export
@pytest.mark.parametrize(
    ("model", "graph"),
    [("text_encoder", "text_encoder/model.onnx"), *STEP_KIND_GRAPHS.items()],
)
def test_a_config_states_the_graphs_names_types_and_shapes(exported, model, graph):
    config = text_format.Parse(
        (exported.triton_models / model / "config.pbtxt").read_text(), pb.ModelConfig()
    )
    folder = exported.triton_models / model
    path = folder / config.parameters["onnx_file"].string_value
    assert path.resolve() == (exported.bundle / graph).resolve()
    session = ort.InferenceSession(path)
    types = {pb.TYPE_FP32: "tensor(float)", pb.TYPE_INT64: "tensor(int64)"}
    for stated, found in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert [(t.name, types[t.data_type], list(t.dims)) for t in stated] == [
            (node.name, node.type, _dims(node.shape)) for node in found
        ]
    for warmup in config.model_warmup:
        assert {n: list(w.dims) for n, w in warmup.inputs.items()} == {
            t.name: [abs(axis) for axis in t.dims] for t in config.input
        }


def _dims(shape):
    """Triton's words: no batch axis, at least one other, -1 for any size."""
    return [-1 if isinstance(axis, str) else axis for axis in shape[1:]] or [1]
