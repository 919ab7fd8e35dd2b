"""Writes the trained networks as one diffusers pipeline folder, in fp16, once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import DPMSolverMultistepScheduler
from safetensors.torch import save_file
from torch import nn

from demo_models import architecture
from demo_models.tokenizer import END, MAX_TOKENS, PAD, START, UNKNOWN, build_tokenizer
from demo_models.training.autoencoder import load_autoencoder
from demo_models.training.text_encoder import load_text_encoder

MODEL_INDEX: Final[dict[str, Any]] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderTiny"],
}
TOKENIZER_CONFIG: Final[dict[str, Any]] = {
    "bos_token": START,
    "eos_token": END,
    "model_max_length": MAX_TOKENS,
    "pad_token": PAD,
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": UNKNOWN,
}


def publish_family(work: Path, out: Path) -> None:
    """Writes the folder that StableDiffusionPipeline.from_pretrained(out, variant="fp16") loads.

    Args:
        work: Folder of the recipe, every network trained.
        out: The pipeline folder; files of an earlier family are replaced.
    """
    factor = float((work / "dataset" / "scaling_factor.txt").read_text())
    vae: Any = load_autoencoder(work / "autoencoder" / "network.pt")
    vae.register_to_config(scaling_factor=factor)
    networks = {
        "unet": _load(architecture.cloud_unet(), work / "cloud_unet"),
        "device_unet": _load(architecture.device_unet(), work / "device_unet"),
        "vae": vae,
        "text_encoder": load_text_encoder(work / "text_encoder" / "network.pt"),
    }
    for name, network in networks.items():
        _half(network).save_pretrained(out / name, variant="fp16")
    DPMSolverMultistepScheduler(**architecture.NOISE_SCHEDULE).save_pretrained(out / "scheduler")
    _write_text_files(out)
    _publish_classifier(work, out / "classifier")
    for weights in out.rglob("*.safetensors"):
        weights.chmod(0o644)  # safetensors writes 0600


def _load(network: nn.Module, folder: Path) -> nn.Module:
    network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
    return network


def _half(network: Any) -> Any:
    return copy.deepcopy(network).half()


def _write_text_files(out: Path) -> None:
    (out / "tokenizer").mkdir(exist_ok=True)
    build_tokenizer().save(str(out / "tokenizer" / "tokenizer.json"))
    _write_json(out / "tokenizer" / "tokenizer_config.json", TOKENIZER_CONFIG)
    _write_json(out / "model_index.json", MODEL_INDEX)
    # transformers would load fp16 beside diffusers' fp32, and the pipeline would fail.
    _edit_json(out / "text_encoder" / "config.json", dtype="float32")
    _edit_json(out / "vae" / "config.json", block_out_channels=None)


def _publish_classifier(work: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    classifier = _load(architecture.AttributeClassifier(), work / "classifier")
    tensors = {k: v.contiguous() for k, v in classifier.half().state_dict().items()}
    save_file(tensors, out / "model.fp16.safetensors")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _edit_json(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) | changes
    _write_json(path, {k: v for k, v in content.items() if v is not None})
