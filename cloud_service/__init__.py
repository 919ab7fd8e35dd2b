"""The cloud half: an orchestrator that denoises all candidates over a Triton Inference Server."""

from obclip import quiet_runtime

quiet_runtime.switch_off()  # before any module below imports ONNX Runtime
