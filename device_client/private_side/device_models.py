"""The private side's one door: a whole batch goes in, the user's own picture comes out."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from device_client.bundle import Bundle
from device_client.private_side.choice import Choice, own_words_of
from device_client.private_side.denoiser import Denoiser, DeviceShare
from device_client.private_side.extraction import extract
from device_client.private_side.image_decoder import ImageDecoder
from device_client.private_side.text_encoder import TextEncoder
from obclip.solver import SolverState


class DeviceModels:
    """The models that run on the device, held open."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        """Opens text encoder, small UNet and VAE decoder.

        Args:
            bundle: The model bundle.
            threads: Threads for one operator, >= 1.

        Raises:
            InvalidBundle: A model cannot be opened.
        """
        folder = bundle.folder
        self._tokenizer = bundle.device_tokenizer
        text_encoder = bundle.device_text_folder / "text_encoder" / "model.onnx"
        self._text_encoder = TextEncoder(text_encoder, self._tokenizer, threads)
        self._denoiser = Denoiser(
            folder / "device_unet" / "model.onnx", bundle.card.schedule, threads
        )
        self._decoder = ImageDecoder(folder / "vae" / "decoder.onnx", threads)

    def finish(
        self,
        batch: SolverState,
        choice: Choice,
        negative_prompt: str,
        share: DeviceShare,
        on_step: Callable[[int, int], None],
    ) -> NDArray[np.uint8]:
        """Makes the user's picture from the whole batch.

        Args:
            batch: State of all candidates, arrays (N, C, H, W) float32.
            choice: Which one is the user's, and the words to finish it with.
            negative_prompt: Public.
            share: The steps to run.
            on_step: Called after each step with steps done and steps to do.

        Returns:
            image_u8: (8H, 8W, 3) uint8.
        """
        text = self._text_encoder.encode((negative_prompt, own_words_of(choice)))
        latents = self._denoiser.denoise(extract(batch, choice), text, share, on_step)
        return self.decode(latents).squeeze(axis=0)

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Returns the pictures of latents (N, C, H, W) float32 as (N, 8H, 8W, 3) uint8."""
        return self._decoder.decode(latents)

    def cuts(self, choice: Choice) -> bool:
        """Tells whether the user's own words are more than the text encoder takes."""
        return self._tokenizer.count(own_words_of(choice)) > self._tokenizer.max_tokens

    def unknown_words(self, choice: Choice) -> tuple[str, ...]:
        """Returns the user's own words that the text encoder does not know."""
        return self._tokenizer.unknown_words(own_words_of(choice))
