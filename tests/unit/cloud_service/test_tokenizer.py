from pathlib import Path

import numpy as np
import pytest

from cloud_service.tokenizer import PromptTokenizer
from obclip.card import TextFormat
from obclip.errors import InvalidBundle, InvalidRequest


def test_pads_every_prompt_to_one_length(tokenizer: PromptTokenizer) -> None:
    empty, prompt = tokenizer.encode("", "candidates"), tokenizer.encode("a man", "candidates")
    assert empty.shape == prompt.shape == (40,)
    assert empty.dtype == np.int64
    assert np.count_nonzero(empty) == 2  # begin and end; the pad token is 0
    assert np.count_nonzero(prompt) == 4


@pytest.mark.parametrize("words", [38, 39])
def test_never_cuts(tokenizer: PromptTokenizer, words: int) -> None:
    prompt = " ".join(["man"] * words)
    if words + 2 <= 40:
        assert np.count_nonzero(tokenizer.encode(prompt, "candidates")) == 40
        return
    with pytest.raises(InvalidRequest, match="negative_prompt: 41 tokens where 40 fit") as caught:
        tokenizer.encode(prompt, "negative_prompt")
    assert "man" not in str(caught.value)


def test_names_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InvalidBundle, match="is not a tokenizer"):
        PromptTokenizer(tmp_path / "tokenizer.json", TextFormat(40, 0, 8, 0))
