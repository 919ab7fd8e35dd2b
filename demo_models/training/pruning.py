"""The device UNet's first weights: the cloud's, less its lowest level and a fifth of its channels.

Taking blocks out of a trained UNet and distilling what is left needs far less training than a small
UNet from nothing (BK-SDM, arXiv 2305.15798).
"""

from __future__ import annotations

from typing import Final

import torch
from diffusers import UNet2DConditionModel

_KEPT_OF_FIVE: Final = 4
_TOP: Final = 96
_MIDDLE: Final = 160
_BOTTOM: Final = 192


def prune_cloud(cloud: UNet2DConditionModel, device: UNet2DConditionModel) -> None:
    """Fills the device UNet with weights of the cloud UNet.

    Args:
        cloud: `architecture.cloud_unet`, trained.
        device: `architecture.device_unet`; its weights are replaced.
    """
    source = cloud.state_dict()
    weights = {
        name: _cut(source[_name_in_cloud(name)], tensor.shape)
        for name, tensor in device.state_dict().items()
    }
    device.load_state_dict(weights)


def _name_in_cloud(name: str) -> str:
    # The cloud's first block on the way up belongs to its lowest level.
    for block in ("1", "0"):
        name = name.replace(f"up_blocks.{block}", f"up_blocks.{int(block) + 1}")
    return name


def _cut(weights: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    for axis in range(min(2, weights.ndim)):
        size = weights.shape[axis]
        if size != shape[axis]:
            weights = _cut_axis(weights, axis, size)
    return weights.clone()


def _cut_axis(weights: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    if size == _MIDDLE + _TOP:  # what comes from below, then a skip connection
        below, skip = weights.split([_MIDDLE, _TOP], axis)
        return torch.cat([_thinned(below, axis), skip], axis)
    if size == _BOTTOM + _MIDDLE:  # without the lowest level, what comes from below is the skip
        _, skip = weights.split([_BOTTOM, _MIDDLE], axis)
        kept = _thinned(skip, axis)
        both = torch.cat([kept, kept], axis)
        return both / 2 if axis == 1 else both  # an input that comes twice counts half
    return _thinned(weights, axis)


def _thinned(weights: torch.Tensor, axis: int) -> torch.Tensor:
    # Four of five channels of every group of a norm, of every head, of both halves of a gate.
    parts: torch.Tensor = weights.unflatten(axis, (-1, _KEPT_OF_FIVE + 1))
    return parts.narrow(axis + 1, 0, _KEPT_OF_FIVE).flatten(axis, axis + 1)
