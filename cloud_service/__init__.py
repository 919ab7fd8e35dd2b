"""The cloud half: an orchestrator that denoises all candidates over a Triton Inference Server."""
