"""The word-level tokenizer of the demo family, in the file format of the `tokenizers` library."""

from __future__ import annotations

from typing import Final

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from demo_models.captions import VOCABULARY

PAD: Final = "<pad>"
START: Final = "<start>"
END: Final = "<end>"
UNKNOWN: Final = "<unknown>"
MAX_TOKENS: Final = 48
"""Length of every sequence: begin and end marks included, padded with PAD."""


def token_ids() -> dict[str, int]:
    """Returns the id of every token: the four marks first, then the words in order."""
    return {word: i for i, word in enumerate((PAD, UNKNOWN, START, END, *VOCABULARY))}


def build_tokenizer() -> Tokenizer:
    """Returns the tokenizer: lower-case words and single marks, padded to MAX_TOKENS."""
    ids = token_ids()
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(length=MAX_TOKENS, pad_id=ids[PAD], pad_token=PAD)
    return tokenizer
