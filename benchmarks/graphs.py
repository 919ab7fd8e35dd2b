"""Writes the two graphs that only measuring needs: the attribute classifier and the VAE's encoder.

`make models` runs it before the export, whose card digests the VAE's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import AutoencoderTiny
from safetensors.torch import load_file

from cloud_service.export.onnx_graph import GraphPlan, export_module
from demo_models.architecture import IMAGE_SIZE, AttributeClassifier
from demo_models.portrait import VALUES


class VaeEncoder(torch.nn.Module):
    """images (B, 3, 8H, 8W) in [0, 1] -> latents (B, C, H, W) as a pipeline's loop sees them."""

    def __init__(self, model: AutoencoderTiny) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """One pass; see the class."""
        latents: torch.Tensor = self.model.encode(images * 2 - 1, return_dict=False)[0]
        return latents * float(self.model.config.scaling_factor)


def main(
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = Path(
        "demo_models/weights"
    ),
) -> None:
    """Write classifier/model.onnx and vae/encoder.onnx beside their weights."""
    examples = {"images": torch.rand(3, 3, IMAGE_SIZE, IMAGE_SIZE)}
    classifier, folder = AttributeClassifier().eval(), bundle / "classifier"
    weights = folder / "model.fp16.safetensors"
    classifier.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    names = ["features", *VALUES]
    onnx_file = folder / "model.onnx"
    export_module(GraphPlan(classifier, (weights,), onnx_file, examples, names))
    folder = bundle / "vae"
    encoder = VaeEncoder(AutoencoderTiny.from_pretrained(bundle, subfolder="vae", variant="fp16"))
    weights = folder / "diffusion_pytorch_model.fp16.safetensors"
    onnx_file = folder / "encoder.onnx"
    export_module(GraphPlan(encoder.eval(), (weights,), onnx_file, examples, ["latents"]))


if __name__ == "__main__":
    typer.run(main)
