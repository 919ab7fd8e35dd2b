"""Reads a diffusers pipeline folder and says what cannot be exported.

Taken: the shape of Stable Diffusion 1.x, which is one CLIP text encoder, a UNet conditioned by
cross-attention alone, and an AutoencoderKL or AutoencoderTiny; beside it the device's UNet in
`device_unet`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from transformers import AutoTokenizer, CLIPTextModel

from cloud_service.export.errors import ExportFailed
from cloud_service.export.graph_modules import TextEncoder, Unet, VaeDecoder
from cloud_service.export.step_kinds import StepKindUnet
from obclip.card import TextFormat
from obclip.plan import STEP_KIND_GRAPHS, STEP_KINDS, UNET_REUSE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_VAES = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
_MORE_CONDITIONS = (
    "addition_embed_type",
    "class_embed_type",
    "encoder_hid_dim_type",
    "time_cond_proj_dim",
)
_EXAMPLES = 2


@dataclass(frozen=True)
class GraphPlan:
    """One graph to export.

    Attributes:
        module: float32, in evaluation mode.
        weights_file: the safetensors file that holds its values.
        onnx_file: the graph to write beside it.
        examples: input name -> (2, ...).
        output_names: of its outputs, in order.
        batch_axes: leading axes of any size; 2 for sets of rows.
    """

    module: torch.nn.Module
    weights_file: Path
    onnx_file: Path
    examples: dict[str, torch.Tensor]
    output_names: tuple[str, ...]
    batch_axes: int = 1


class PipelineFolder:
    """A folder that StableDiffusionPipeline.from_pretrained loads, with `device_unet` added.

    Raises:
        ExportFailed: a file is absent, or a part is of a kind that this export does not know.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._classes = self.read_json("model_index.json")
        self.vae_class = _VAES[self._require_class("vae", tuple(_VAES))]
        self._require_class("text_encoder", ("CLIPTextModel",))
        self.unet_config = self.read_json("unet/config.json")
        self.text_config = self.read_json("text_encoder/config.json")
        for part, wanted in self._wanted().items():
            self._require_config(part, wanted)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object of the folder, e.g. "unet/config.json"."""
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ExportFailed(
                str(self.path / name), "is absent or no JSON", "save the pipeline again"
            ) from error
        return dict(value)

    @property
    def max_tokens(self) -> int:
        """L: positions of the text encoder."""
        return int(self.text_config["max_position_embeddings"])

    def text_format(self) -> TextFormat:
        """The text encoder's length, and what the tokenizer pads with."""
        tokenizer_file = self.path / "tokenizer" / "tokenizer.json"
        if not tokenizer_file.is_file():
            raise ExportFailed(str(tokenizer_file), "is absent", "save the tokenizer as a fast one")
        pad_token_id = AutoTokenizer.from_pretrained(tokenizer_file.parent).pad_token_id
        if pad_token_id is None:
            raise ExportFailed(str(tokenizer_file.parent), "names no pad token", "name one")
        return TextFormat(self.max_tokens, pad_token_id)

    def parts(self) -> dict[str, Callable[[], GraphPlan]]:
        """Part -> what loads it in float32 and plans its graph, so that one model is in memory."""
        return {
            "text_encoder": self._text_encoder,
            **{kind: partial(self._step_kind, kind) for kind in STEP_KINDS},
            "device_unet": lambda: self._unet("device_unet"),
            "vae": self._vae,
        }

    def weights_file(self, part: str) -> Path:
        """The one safetensors file of a part; the fp16 variant where there is one."""
        files = sorted((self.path / part).glob("*.safetensors"))
        half = [file for file in files if file.name.endswith(".fp16.safetensors")]
        chosen = half or files
        if len(chosen) != 1:
            raise ExportFailed(
                str(self.path / part),
                f"holds {len(chosen)} weight files",
                "save one safetensors file, not sharded",
            )
        return chosen[0]

    def _text_encoder(self) -> GraphPlan:
        model = self._load(CLIPTextModel, "text_encoder", dtype=torch.float32)
        shape = (_EXAMPLES, self.max_tokens)
        ids = torch.randint(model.config.vocab_size, shape, generator=_generator())
        return self._plan(
            "text_encoder", TextEncoder(model), {"input_ids": ids}, "last_hidden_state"
        )

    def _unet(self, part: str) -> GraphPlan:
        model = self._load(UNet2DConditionModel, part, torch_dtype=torch.float32)
        return self._plan(part, Unet(model), self._unet_examples(), "model_output")

    def _step_kind(self, kind: str) -> GraphPlan:
        model = self._load(UNet2DConditionModel, "unet", torch_dtype=torch.float32)
        examples, is_reuse = self._unet_examples(), kind == UNET_REUSE
        if is_reuse:
            examples = {
                name: value if value.ndim == 1 else _as_sets(value)
                for name, value in examples.items()
            }
        module = StepKindUnet(model.eval(), kind, examples)
        examples |= module.cached_examples(_generator())
        return GraphPlan(
            module.eval(),
            self.weights_file("unet"),
            self.path / STEP_KIND_GRAPHS[kind],
            examples,
            ("model_output", *STEP_KINDS[kind].leaves),
            batch_axes=2 if is_reuse else 1,
        )

    def _unet_examples(self) -> dict[str, torch.Tensor]:
        text = (_EXAMPLES, self.max_tokens, self.unet_config["cross_attention_dim"])
        return {
            "latents": self._latents(),
            "timestep": torch.tensor([1.0, 900.0]),
            "encoder_hidden_states": torch.randn(text, generator=_generator()),
        }

    def _vae(self) -> GraphPlan:
        model = self._load(self.vae_class, "vae", torch_dtype=torch.float32)
        return self._plan("vae", VaeDecoder(model), {"latents": self._latents()}, "image")

    def _plan(
        self, part: str, module: torch.nn.Module, examples: dict[str, torch.Tensor], output: str
    ) -> GraphPlan:
        weights_file = self.weights_file(part)
        onnx_file = weights_file.with_name("decoder.onnx" if part == "vae" else "model.onnx")
        return GraphPlan(module.eval(), weights_file, onnx_file, examples, (output,))

    def _load(self, model_class: Any, part: str, **options: Any) -> Any:
        variant = "fp16" if ".fp16." in self.weights_file(part).name else None
        return model_class.from_pretrained(
            self.path, subfolder=part, variant=variant, local_files_only=True, **options
        )

    def _latents(self) -> torch.Tensor:
        size = self.unet_config["sample_size"]
        shape = (_EXAMPLES, self.unet_config["in_channels"], size, size)
        return torch.randn(shape, generator=_generator())

    def _require_class(self, part: str, known: tuple[str, ...]) -> str:
        name = (self._classes.get(part) or [None, None])[1]
        if name not in known:
            raise ExportFailed(
                f"{self.path / 'model_index.json'}: {part}",
                f"is {name}",
                f"this export knows {' and '.join(known)}",
            )
        return str(name)

    def _wanted(self) -> dict[str, dict[str, Any]]:
        """Part -> what its config must say, so that the parts fit together and to SD-1.x."""
        channels, size = self.unet_config["in_channels"], self.unet_config["sample_size"]
        unet = {
            "in_channels": channels,
            "out_channels": channels,
            "sample_size": size,
            "cross_attention_dim": self.text_config["hidden_size"],
            **dict.fromkeys(_MORE_CONDITIONS),
        }
        # StableDiffusionPipeline ignores a VAE's shift: a decoder that heeds it would differ.
        vae = {"latent_channels": channels, "shift_factor": None}
        return {"unet": unet, "device_unet": unet, "vae": vae}

    def _require_config(self, part: str, wanted: dict[str, Any]) -> None:
        config = self.read_json(f"{part}/config.json")
        for name, value in wanted.items():
            found = config.get(name) or None
            if found != value:
                raise ExportFailed(
                    str(self.path / part), f"{name} is {found}", f"this pipeline needs {value}"
                )


def _as_sets(value: torch.Tensor) -> torch.Tensor:
    """Two sets of three different rows each, from (2, ...)."""
    return torch.stack([value, value.flip(0), value.roll(1, -1)], dim=1)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
