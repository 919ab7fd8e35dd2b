"""What a pipeline's tokenizers give: padding, marks, and whether two of them go together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from cloud_service.export.errors import ExportFailed

if TYPE_CHECKING:
    from pathlib import Path

TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class TextIds:
    """Token ids with a meaning of their own.

    Attributes:
        pad_token_id: what fills a prompt up.
        end_token_id: the mark after the last word.
        second_pad_token_id: what the second tokenizer fills up with; -1 where there is one alone.
        zeroed: ids of the prompt whose embedding is zeros; () for none.
    """

    pad_token_id: int
    end_token_id: int
    second_pad_token_id: int = -1
    zeroed: tuple[int, ...] = ()


def read_ids(tokenizer: Path, second: Path | None, max_tokens: int, *, zeroes: bool) -> TextIds:
    """Read a pipeline's tokenizers.

    Args:
        tokenizer: folder of the first.
        second: folder of the second, None where there is one alone.
        max_tokens: L.
        zeroes: whether the empty prompt's embedding is zeros.

    Raises:
        ExportFailed: one cannot be opened or names no padding, or their vocabularies differ.
    """
    first = _load(tokenizer)
    pad = _pad_token_id(tokenizer)
    if second is None:
        return TextIds(pad, first.eos_token_id)
    if vocabulary(tokenizer) != vocabulary(second):
        raise ExportFailed(
            str(second), f"has another vocabulary than {tokenizer}", "take SDXL's own tokenizers"
        )
    empty = first("", padding="max_length", max_length=max_tokens).input_ids if zeroes else ()
    return TextIds(pad, first.eos_token_id, _pad_token_id(second), tuple(empty))


def vocabulary(folder: Path) -> str:
    """What decides the ids of a text: the tokenizer's model and how it cuts, as JSON."""
    backend = json.loads(_load(folder).backend_tokenizer.to_str())
    parts = ("normalizer", "pre_tokenizer", "model", "post_processor")
    return json.dumps({part: backend[part] for part in parts}, sort_keys=True)


def write_fast_tokenizer(source: Path, target: Path) -> None:
    """Write tokenizer.json for a folder that holds a vocabulary and merges alone."""
    _load(source).backend_tokenizer.save(str(target / TOKENIZER_FILE))


def _load(folder: Path) -> PreTrainedTokenizerBase:
    """Open a tokenizer that lies here; no hub is asked, and no code of the folder runs."""
    try:
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ExportFailed(
            str(folder), "holds no tokenizer of a known class", "save the pipeline again"
        ) from error


def _pad_token_id(folder: Path) -> int:
    pad = _load(folder).pad_token_id
    if pad is None:
        raise ExportFailed(str(folder), "names no pad token", "name one")
    return int(pad)
