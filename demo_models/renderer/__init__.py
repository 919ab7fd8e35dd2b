"""Draws portraits as flat illustrations: an SVG document per portrait, rasterised by resvg."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import resvg_py
from PIL import Image

from demo_models.portrait import Portrait
from demo_models.renderer import clothes, face, hair, scene, svg

__all__ = ["render", "to_svg"]


def to_svg(portrait: Portrait) -> str:
    """Returns the portrait as an SVG document of 128 by 128 user units."""
    layers = (
        scene.draw_background(portrait.background, portrait.light),
        hair.draw_hair_definitions(portrait),
        _person(portrait),
    )
    box = f'viewBox="0 0 {svg.CANVAS} {svg.CANVAS}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{"".join(layers)}</svg>'


def render(portrait: Portrait, size: int = 128) -> npt.NDArray[np.uint8]:
    """Rasterises a portrait with antialiasing.

    Args:
        portrait: What to draw.
        size: Height and width of the image in pixels, at least 1.

    Returns:
        The image, of shape (size, size, 3), dtype uint8, in RGB.
    """
    png = resvg_py.svg_to_bytes(
        svg_string=to_svg(portrait), width=size, height=size, skip_system_fonts=True
    )
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _person(portrait: Portrait) -> str:
    return (
        hair.draw_back_hair(portrait)
        + clothes.draw_neck(portrait)
        + clothes.draw_clothes(portrait)
        + face.draw_head(portrait)
        + face.draw_face(portrait)
        + hair.draw_front_hair(portrait)
        + face.draw_glasses(portrait)
        + clothes.draw_hat(portrait)
    )
