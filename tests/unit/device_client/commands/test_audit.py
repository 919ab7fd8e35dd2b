import json
from pathlib import Path

import pytest

from tests.unit.device_client.commands.conftest import Program

LINES = ["an old woman in a garden", "a man with his dog", "a forest", "<lora:x:1> a man", "a girl"]


@pytest.fixture
def prompts(program: Program) -> str:
    assert program is not None  # it has moved to an empty folder
    Path("prompts.txt").write_text("\n".join(LINES), encoding="utf-8")
    return "prompts.txt"


def test_the_table_has_every_attacker(program: Program, prompts: str) -> None:
    outcome = program("audit", prompts)
    assert outcome.code == 0
    for words in ("closure", "grammar", "case and Unicode", "order", "bag of words", "twins"):
        assert words in outcome.out
    assert "5 prompts: 1 refused, 1 without anything to hide." in outcome.out
    assert "garden" not in outcome.out + outcome.err


def test_json_tells_success_and_chance(program: Program, prompts: str) -> None:
    facts = program("audit", prompts, "--json").facts
    assert (facts["prompts"], facts["refused"], facts["without_secret"]) == (5, 1, 1)
    for score in facts["scores"]:
        assert score["success"] == pytest.approx(score["chance"])
        assert score["certain_share"] == 0
        assert score["advantage_limit"] > 0


def test_a_sample_is_the_same_again(program: Program, prompts: str) -> None:
    runs = [program("audit", prompts, "--sample", "2", "--json").out for _ in range(2)]
    assert runs[0] == runs[1]
    assert json.loads(runs[0])["prompts"] == 2


@pytest.mark.parametrize("lines", ["", "\n\n", "<lora:x:1> a man"])
def test_a_file_with_nothing_to_attack_is_no_passed_audit(program: Program, lines: str) -> None:
    Path("prompts.txt").write_text(lines, encoding="utf-8")
    outcome = program("audit", "prompts.txt")
    assert outcome.code == 2
    assert "holds no prompt that would be sent" in outcome.error_line()


def test_a_missing_file_is_one_line(program: Program) -> None:
    assert "absent.txt" in program("audit", "absent.txt").error_line()
