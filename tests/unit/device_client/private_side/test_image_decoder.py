import numpy as np

from device_client.private_side.image_decoder import ImageDecoder
from tests.fakes.tiny_bundle import TinyBundle


def test_pixels_are_rounded_bytes_one_picture_a_row(tiny_bundle: TinyBundle) -> None:
    decoder = ImageDecoder(tiny_bundle.folder / "vae" / "decoder.onnx", 1)
    latents = np.random.default_rng(0).normal(size=(3, 4, 8, 8)).astype(np.float32)
    images_u8 = decoder.decode(latents)
    assert images_u8.shape == (3, 64, 64, 3)
    assert images_u8.dtype == np.uint8
    np.testing.assert_array_equal(images_u8[1:2], decoder.decode(latents[1:2]))


def test_zero_latents_are_middle_grey(tiny_bundle: TinyBundle) -> None:
    decoder = ImageDecoder(tiny_bundle.folder / "vae" / "decoder.onnx", 1)
    image_u8 = decoder.decode(np.zeros((1, 4, 8, 8), np.float32))
    assert set(np.unique(image_u8)) == {128}  # 127.5 to even, as numpy and diffusers do
