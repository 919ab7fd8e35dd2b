"""A model bundle of a few kilobytes, with a real bundle's files, names and card."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from obclip.card import (
    CARD_FILE,
    CachedTensor,
    Defaults,
    ImageFormat,
    LatentFormat,
    ModelCard,
    StepKindCost,
    TextFormat,
    digest_bundle,
)
from obclip.plan import STEP_KIND_GRAPHS
from obclip.schedule import NoiseSchedule
from tests.fakes.tiny_graphs import (
    TinySizes,
    write_text_encoder,
    write_unet,
    write_vae_decoder,
)

SIZES = TinySizes(tokens=40)
MARKS = ("<pad>", "<unk>", "<begin>", "<end>")
WORDS = """
a an the of at in on with and portrait photo picture beach forest night city garden glasses hat
smiling man woman person boy girl lady young old elderly middle aged middle-aged male female
caucasian african asian indian european white black wearing red green blue , .
"""
SCHEDULE = NoiseSchedule(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="v_prediction",
    timestep_spacing="leading",
    steps_offset=1,
    final_sigmas_type="zero",
)
COSTS = (
    StepKindCost("unet_full", 1.0, 0),
    StepKindCost("unet_shallow", 0.125, 0),
    StepKindCost("unet_reuse", 0.875, 0, 0.125, 0),
    StepKindCost("unet_cached", 0.75, 0),
    StepKindCost("unet_up", 0.625, 0),
    StepKindCost("unet_up_cached", 0.5, 0),
)


@dataclass(frozen=True)
class TinyBundle:
    """A bundle on disk.

    Attributes:
        folder: Its folder.
        card: Its card, digests included.
    """

    folder: Path
    card: ModelCard


def write_tiny_bundle(
    folder: Path, *, one_unet: bool = False, sizes: TinySizes = SIZES, seed: int = 0
) -> TinyBundle:
    """Writes a bundle.

    Args:
        folder: Created if it is missing.
        one_unet: The device's UNet is the cloud's, so that no switch point changes the picture.
        sizes: Shapes of the models.
        seed: Of the random weights.
    """
    write_text_encoder(folder / "text_encoder" / "model.onnx", sizes, seed)
    for kind, graph in STEP_KIND_GRAPHS.items():
        write_unet(folder / graph, sizes, seed + 1, kind)
    write_unet(folder / "device_unet" / "model.onnx", sizes, seed + (1 if one_unet else 2))
    write_vae_decoder(folder / "vae" / "decoder.onnx", sizes, seed + 3)
    _write_tokenizer(folder / "tokenizer" / "tokenizer.json")
    card = _card(folder, sizes)
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    return TinyBundle(folder, card)


def _write_tokenizer(path: Path) -> None:
    vocabulary = {word: index for index, word in enumerate((*MARKS, *WORDS.split()))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=MARKS[1]))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="<begin> $A <end>",
        special_tokens=[(mark, vocabulary[mark]) for mark in ("<begin>", "<end>")],
    )
    tokenizer.add_special_tokens(list(MARKS))
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))


def _card(folder: Path, sizes: TinySizes) -> ModelCard:
    return ModelCard(
        models=digest_bundle(folder, "tiny"),
        latents=LatentFormat(sizes.channels, sizes.height, sizes.width, "float32"),
        image=ImageFormat(8 * sizes.height, 8 * sizes.width),
        schedule=SCHEDULE,
        text=TextFormat(sizes.tokens, 0, sizes.embedding, 0),
        step_kinds=COSTS,
        cached_tensors=tuple(
            CachedTensor(name, (sizes.channels, sizes.height, sizes.width))
            for name in ("feature", "skips", "attention_down", "attention_up")
        ),
        licence="Apache-2.0",
        defaults=Defaults(steps=25, guidance_scale=2.5, switch_point=10),
        device_text=None,
        distillation=None,
    )
