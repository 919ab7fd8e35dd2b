"""Where a model comes from: a folder of this machine, or a repository of the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from cloud_service.export.errors import ExportFailed
from cloud_service.export.weights_file import choose_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

PARTS = (
    "unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler",
)  # fmt: skip
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SMALL = (".json", ".txt")


def locate(text: str, precision: str | None) -> Path:
    """The folder of a model.

    Args:
        text: a folder, or a hub id, e.g. "nota-ai/bk-sdm-small", whose needed files are fetched
            into the hub's own cache.
        precision: "fp32", "fp16" or None, see `choose_weights`.

    Raises:
        ExportFailed: it is neither, or the hub cannot be reached.
    """
    folder = Path(text)
    if folder.is_dir():
        return folder
    if not _HUB_ID.fullmatch(text):
        raise ExportFailed(text, "is no folder and no hub id", "give a folder, or owner/name")
    return _fetch(text, precision)


def wanted_files(names: Sequence[str], precision: str | None) -> list[str]:
    """The files of a hub repository that an export reads.

    Args:
        names: all its files.
        precision: see `choose_weights`.
    """
    wanted = [name for name in names if name in {"model_index.json", "config.json"}]
    for folder in ("", *(f"{part}/" for part in PARTS)):
        own = [n.removeprefix(folder) for n in names if n.startswith(folder)]
        here = [name for name in own if "/" not in name]
        if folder:
            wanted += [folder + name for name in here if name.endswith(_SMALL)]
        chosen = choose_weights(here, precision)
        if len(chosen) == 1:
            wanted.append(folder + chosen[0])
    return wanted


def _fetch(hub_id: str, precision: str | None) -> Path:
    from huggingface_hub import HfApi, snapshot_download  # noqa: PLC0415 -- seconds, rarely needed

    try:
        names = HfApi().list_repo_files(hub_id)
        return Path(snapshot_download(hub_id, allow_patterns=wanted_files(names, precision)))
    except Exception as error:  # its HTTP errors, its own, and those of the socket have no one base
        raise ExportFailed(
            hub_id,
            f"is no folder here, and the hub gave no answer to it ({type(error).__name__})",
            "check the name and the connection, or download the model and give its folder",
        ) from error
