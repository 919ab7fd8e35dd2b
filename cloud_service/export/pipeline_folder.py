"""Reads diffusers folders and says what cannot be exported.

Taken: Stable Diffusion 1.x and 2.x, which is one CLIP text encoder, a UNet conditioned by
cross-attention and an AutoencoderKL or AutoencoderTiny; SDXL, with a second text encoder, whose
pooled embedding and the picture's sizes the UNet is told as well; and either of them distilled to
a latent consistency model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cloud_service.export.errors import ExportFailed
from cloud_service.export.text_ids import TextIds, read_ids, vocabulary
from cloud_service.export.weights_file import weights_in
from obclip.card import TextFormat, sha256_file

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

# A VAE's class, and the scaling factor that diffusers takes where an old config has none.
_VAES = {"AutoencoderKL": 0.18215, "AutoencoderTiny": 1.0}
_XL = "text_time"
_TIME_IDS = 6
_NOT_KNOWN = ("class_embed_type", "encoder_hid_dim_type")
# Pipelines ignore or add these, and the decoder's graph would not.
_NOT_KNOWN_OF_VAE = ("shift_factor", "latents_mean", "latents_std")
INDEX = "model_index.json"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ExportFailed: the file is absent or holds none.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ExportFailed(str(path), "is absent or no JSON", "save the pipeline again") from error


def read_number(config: dict[str, Any], name: str, path: Path) -> int:
    """A whole number of a config.

    Raises:
        ExportFailed: there is none of that name.
    """
    found = config.get(name)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ExportFailed(str(path), f"{name} is {found}", "this export needs a whole number here")
    return found


class UnetFolder:
    """The folder of a UNet: config.json and weights.

    Raises:
        ExportFailed: it is of a kind that this export does not know.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = read_json(path / "config.json")
        self._require("_class_name", "UNet2DConditionModel")
        self._require("out_channels", self.channels)
        for name in _NOT_KNOWN:
            self._require(name, None)
        if self.config.get("addition_embed_type") is not None:
            self._require("addition_embed_type", _XL)

    @property
    def channels(self) -> int:
        """C of the latents."""
        return read_number(self.config, "in_channels", self.path)

    @property
    def sample_size(self) -> int:
        """H and W of the latents that it was trained with."""
        return read_number(self.config, "sample_size", self.path)

    @property
    def text_width(self) -> int:
        """D of the text embedding that it takes."""
        return read_number(self.config, "cross_attention_dim", self.path)

    @property
    def pooled_width(self) -> int:
        """Of the pooled embedding that it takes, 0 for none."""
        if self.config.get("addition_embed_type") is None:
            return 0
        told = _TIME_IDS * read_number(self.config, "addition_time_embed_dim", self.path)
        return read_number(self.config, "projection_class_embeddings_input_dim", self.path) - told

    @property
    def takes_guidance(self) -> bool:
        """Whether it is told the guidance scale."""
        return self.config.get("time_cond_proj_dim") is not None

    def _require(self, name: str, wanted: Any) -> None:
        found = self.config.get(name)
        if found != wanted:
            raise ExportFailed(
                str(self.path), f"{name} is {found}", f"this export needs {wanted} here"
            )


@dataclass(frozen=True)
class TextFolders:
    """What turns a prompt into an embedding.

    Attributes:
        encoder: folder of the text encoder.
        tokenizer: folder of its tokenizer.
        second_encoder: folder of SDXL's second one, or None.
        second_tokenizer: its tokenizer's.
        zeroes: whether the empty prompt's embedding is zeros.
    """

    encoder: Path
    tokenizer: Path
    second_encoder: Path | None = None
    second_tokenizer: Path | None = None
    zeroes: bool = False

    @property
    def encoders(self) -> tuple[Path, ...]:
        """One or two folders."""
        return (self.encoder, *filter(None, [self.second_encoder]))

    @property
    def tokenizers(self) -> tuple[Path, ...]:
        """One or two folders."""
        return (self.tokenizer, *filter(None, [self.second_tokenizer]))

    @cached_property
    def ids(self) -> TextIds:
        """What the tokenizers give."""
        return read_ids(self.tokenizer, self.second_tokenizer, self._max_tokens, zeroes=self.zeroes)

    @cached_property
    def format(self) -> TextFormat:
        """What the encoders take and give together.

        Raises:
            ExportFailed: two that do not go together, or a tokenizer that does not fit.
        """
        width = sum(_number_of(folder, "hidden_size") for folder in self.encoders)
        second = self.second_encoder
        pooled = 0 if second is None else _number_of(second, "projection_dim")
        lengths = {_number_of(folder, "max_position_embeddings") for folder in self.encoders}
        if len(lengths) > 1 or pooled > width:
            raise ExportFailed(
                str(self.second_encoder),
                f"takes {sorted(lengths)} tokens and gives {pooled} numbers beside {width}",
                "take SDXL's own text encoders",
            )
        return TextFormat(self._max_tokens, self.ids.pad_token_id, width, pooled)

    @cached_property
    def weights_digest(self) -> str:
        """Of the encoders' weights, 64 hex digits each."""
        return "+".join(sha256_file(weights_in(folder)) for folder in self.encoders)

    @cached_property
    def vocabulary(self) -> str:
        """What decides the ids of a text, padding included."""
        return f"{self.ids}{vocabulary(self.tokenizer)}"

    @property
    def _max_tokens(self) -> int:
        return _number_of(self.encoder, "max_position_embeddings")


def _number_of(folder: Path, name: str) -> int:
    return read_number(read_json(folder / "config.json"), name, folder)


class PipelineFolder:
    """A folder that a Stable Diffusion pipeline of diffusers saved.

    Raises:
        ExportFailed: a file is absent, or a part is of a kind that this export does not know.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index = read_json(path / INDEX)
        self._require_class("unet", ("UNet2DConditionModel",))
        self._require_class("vae", _VAES)
        self._require_class("text_encoder", ("CLIPTextModel",))
        self.is_xl = self._class("text_encoder_2") is not None
        if self.is_xl:
            self._require_class("text_encoder_2", ("CLIPTextModelWithProjection",))
        self.unet = UnetFolder(path / "unet")
        self.vae_config = read_json(path / "vae" / "config.json")
        self.scheduler = read_json(path / "scheduler" / "scheduler_config.json")
        for name in _NOT_KNOWN_OF_VAE:
            if self.vae_config.get(name):
                value = self.vae_config[name]
                raise ExportFailed(
                    str(path / "vae"), f"{name} is {value}", "this export knows none"
                )
        if self.unet.takes_guidance and not self.is_distilled:
            raise ExportFailed(
                str(path / "scheduler"),
                f"is {self.scheduler.get('_class_name')}, and the UNet was distilled",
                "save the pipeline with an LCMScheduler",
            )

    @property
    def is_distilled(self) -> bool:
        """Whether it is a latent consistency model, which its scheduler says."""
        return self.scheduler.get("_class_name") == "LCMScheduler"

    @cached_property
    def text(self) -> TextFolders:
        """Its text encoders and tokenizers."""
        encoder, tokenizer = self.path / "text_encoder", self.path / "tokenizer"
        if not self.is_xl:
            return TextFolders(encoder, tokenizer)
        zeroes = self._index.get("force_zeros_for_empty_prompt", True)
        second = self.path / "text_encoder_2", self.path / "tokenizer_2"
        return TextFolders(encoder, tokenizer, *second, zeroes)

    @property
    def vae_factor(self) -> int:
        """Pixels of a latent's side."""
        config = self.vae_config
        blocks = config.get("block_out_channels") or config["decoder_block_out_channels"]
        return int(2 ** (len(blocks) - 1))

    @property
    def scaling_factor(self) -> float:
        """What the VAE's latents are multiplied by."""
        return float(self.vae_config.get("scaling_factor", _VAES[str(self._class("vae"))]))

    @cached_property
    def vae_digest(self) -> str:
        """SHA-256 of the VAE's weights."""
        return sha256_file(weights_in(self.path / "vae"))

    def _class(self, part: str) -> str | None:
        name: str | None = (self._index.get(part) or [None, None])[1]
        return name

    def _require_class(self, part: str, known: Collection[str]) -> None:
        if self._class(part) not in known:
            raise ExportFailed(
                f"{self.path / INDEX}: {part}",
                f"is {self._class(part)}",
                f"this export knows {' and '.join(known)}",
            )
