from device_client.leakage import declared_leakage, warnings
from device_client.transformation import transform

PROMPT = "a portrait of an old asian woman with glasses"


def test_every_candidate_declares_the_same() -> None:
    skeleton = transform(PROMPT, max_candidates=30).skeleton
    declared = {
        declared_leakage(transform(candidate, max_candidates=30).skeleton)
        for candidate in skeleton.candidates()
    }
    assert declared == {declared_leakage(skeleton)}


def test_it_names_the_attributes_and_their_number() -> None:
    words = " ".join(declared_leakage(transform(PROMPT, max_candidates=30).skeleton))
    assert "gender, age, ethnicity" in words
    assert "N = 30" in words
    assert "bits" not in words
    assert "asian" not in words


def test_a_block_declares_its_bits() -> None:
    words = " ".join(declared_leakage(transform(PROMPT, max_candidates=6).skeleton))
    assert "2.3 bits" in words  # log2(30 / 6)


def test_a_hint_is_warned_about() -> None:
    skeleton = transform("a young man in a keffiyeh", max_candidates=30).skeleton
    (line,) = warnings(skeleton)
    assert "keffiyeh" in line
    assert "ethnicity" in line
    assert warnings(transform(PROMPT, max_candidates=30).skeleton) == ()


def test_a_prompt_without_a_person_names_no_attribute() -> None:
    words = " ".join(declared_leakage(transform("a forest at night", max_candidates=30).skeleton))
    assert "none" in words
    assert "N = 1" in words
