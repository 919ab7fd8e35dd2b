import io
import json
from pathlib import Path

import pytest

from tests.fakes.tiny_bundle import TinyBundle
from tests.unit.device_client.commands.conftest import Program

PROMPT = "an old woman in a garden"
KEYS = {
    "attributes", "candidates", "n", "refused", "remedy", "effective_set", "leakage", "cut",
    "token_limit", "skeleton", "request_bytes", "n_without_lexicon",
    "negative_prompt",
}  # fmt: skip
LEXICON = """
[attributes.religion]
values = ["christian", "muslim", "hindu"]
"""


def test_the_candidates_are_lines(program: Program) -> None:
    outcome = program("candidates", PROMPT)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert len(lines) == 6
    assert PROMPT in lines
    assert "Skeleton: a [age] [woman/man] in a garden" in outcome.err
    assert "To be sent: 6 candidates, 255 bytes" in outcome.err
    assert "N = 6" in outcome.err


def test_a_prompt_without_attributes_hides_nothing(program: Program) -> None:
    outcome = program("candidates", "a lighthouse at night")
    assert outcome.out.splitlines() == ["a lighthouse at night"]
    assert "To be sent: one prompt, which hides nothing, " in outcome.err


def test_json_has_the_keys(program: Program) -> None:
    outcome = program("candidates", "--json", PROMPT)
    facts = outcome.facts
    assert (outcome.code, outcome.err, set(facts)) == (0, "", KEYS)
    assert facts["attributes"] == {
        "gender": ["female", "male"],
        "age": ["young", "middle-aged", "old"],
    }
    assert (facts["n"], facts["refused"], facts["cut"]) == (6, None, False)
    assert 1 < facts["effective_set"]["size"] <= 6
    assert 1 / 6 <= facts["effective_set"]["largest_posterior"] < 1
    assert set(facts["effective_set"]["accuracy"]) == {"gender", "age"}
    assert facts["candidates"][2] == PROMPT
    assert facts["leakage"]["bits"] == 0
    assert facts["skeleton"] == "a [age] [woman/man] in a garden"
    assert facts["request_bytes"] > sum(map(len, facts["candidates"]))


def test_every_candidate_gives_the_same_json(program: Program) -> None:
    candidates = program("candidates", "--json", PROMPT).facts["candidates"]
    assert len({program("candidates", "--json", prompt).out for prompt in candidates}) == 1


def test_a_block_tells_its_bits(program: Program) -> None:
    facts = program("candidates", "--json", PROMPT, "--max-candidates", "3").facts
    assert facts["n"] == 3
    assert facts["leakage"]["bits"] == 1


def test_a_refused_prompt_is_3(program: Program) -> None:
    outcome = program("candidates", "--json", "")
    assert outcome.code == 3
    assert set(outcome.facts) == KEYS
    assert (outcome.facts["n"], outcome.facts["candidates"]) == (0, [])
    assert "empty" in outcome.facts["refused"]
    assert "refused" in outcome.error_line()
    assert program("candidates", "").code == 3


@pytest.mark.parametrize("source", ["file", "standard input"])
def test_a_batch_is_a_json_line_each(
    program: Program, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    text = f"{PROMPT}\n\na forest at night\n"
    Path("prompts.txt").write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    outcome = program("candidates", "--batch", "prompts.txt" if source == "file" else "-")
    records = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 0
    assert [record["n"] for record in records] == [6, 0, 1]
    assert all(set(record) == KEYS for record in records)


@pytest.mark.parametrize(
    "arguments", [(), (PROMPT, "--batch", "-"), ("--batch", "absent.txt"), ("--batch", ".")]
)
def test_wrong_input_is_one_line(program: Program, arguments: tuple[str, ...]) -> None:
    outcome = program("candidates", *arguments)
    assert outcome.code == 2
    assert ";" in outcome.error_line()


def test_a_batch_that_is_no_text_is_named(program: Program) -> None:
    Path("picture.bin").write_bytes(b"\xff\xfe\xff")
    assert "picture.bin" in program("candidates", "--batch", "picture.bin").error_line()


def test_the_effective_set_is_told(program: Program) -> None:
    assert "Effective set: " in program("candidates", PROMPT).err
    assert "Effective set" not in program("candidates", "a forest").err


def test_ones_own_lexicon_and_its_effect(program: Program) -> None:
    Path("mine.toml").write_text(LEXICON, encoding="utf-8")
    outcome = program("candidates", "a hindu woman", "--lexicon", "mine.toml")
    assert len(outcome.out.splitlines()) == 6
    assert "Your lexicon: N = 6; without it: N = 2." in outcome.err
    facts = program("candidates", "--json", "a hindu woman", "--lexicon", "mine.toml").facts
    assert (facts["n"], facts["n_without_lexicon"]) == (6, 2)


def test_a_lexicon_that_is_none_is_one_line(program: Program) -> None:
    Path("mine.toml").write_text("nothing", encoding="utf-8")
    outcome = program("candidates", PROMPT, "--lexicon", "mine.toml")
    assert outcome.code == 2
    assert "lexicon" in outcome.error_line()


def test_a_bundle_bounds_the_length(program: Program, tiny_bundle: TinyBundle) -> None:
    long = "an old man " + "in a garden at night " * 12
    where = ("--bundle", str(tiny_bundle.folder))
    facts = program("candidates", "--json", long, *where).facts
    assert facts["cut"]
    assert facts["n"] == 6
    assert all(len(text.split()) <= 38 for text in facts["candidates"])
    assert facts["token_limit"] == 40
    assert "cut" in program("candidates", long, *where).err


def test_without_a_bundle_no_length_is_too_long_and_the_output_says_so(program: Program) -> None:
    long = "an old man " + "in a garden at night " * 12
    facts = program("candidates", "--json", long).facts
    assert (facts["cut"], facts["token_limit"]) == (False, None)
    assert "No token limit applied" in program("candidates", long).err


def test_the_embedded_family_bounds_the_length(program: Program) -> None:
    facts = program("candidates", "--json", PROMPT, "--bundle", "embedded").facts
    assert (facts["n"], facts["token_limit"]) == (6, 48)
    assert "No token limit" not in program("candidates", PROMPT, "--bundle", "embedded").err


def test_the_negative_prompt_is_shown_as_it_is_sent(program: Program) -> None:
    arguments = ("candidates", "an old woman", "--negative-prompt", "blurry, beard, a young man")
    outcome = program(*arguments)
    assert "Negative prompt: blurry\n" in outcome.err
    assert program(*arguments, "--json").facts["negative_prompt"] == "blurry"
