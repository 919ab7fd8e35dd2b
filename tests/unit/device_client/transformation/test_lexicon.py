"""Laws of the data files."""

from device_client.transformation import Lexicon
from device_client.transformation.forms import HEADS, HINTS, PRONOUNS, Form, Role
from device_client.transformation.lexicon.files import read_rows
from device_client.transformation.morphology import derive


def forms_of_entries(lexicon: Lexicon) -> set[Form]:
    entries = [entry for entries in lexicon.entries.values() for entry in entries]
    return {item.form for entry in entries for item in entry.items if item.form}


def test_every_text_of_a_form_reads_as_its_value(lexicon: Lexicon) -> None:
    for form in forms_of_entries(lexicon):
        if form.role in HINTS | {Role.OBLIQUE}:
            continue
        for value, text in enumerate(form.texts):
            first, *rest = text.replace("-", " ").replace(".", " .").split()
            entries = lexicon.entries.get(first, ())
            items = next((e.items for e in entries if e.rest == tuple(rest)), None)
            items = items or derive(first, lexicon) or ()
            assert [(item.form, item.value) for item in items] == [(form, value)], text


def test_no_word_stands_for_two_values(lexicon: Lexicon) -> None:
    for form in forms_of_entries(lexicon):
        assert len(set(form.texts)) == len(form.texts), form


def test_gender_pairs_are_involutive_and_symmetric() -> None:
    rows = list(read_rows("gender_nouns.tsv"))
    for column in (0, 3):
        females = [row[column] for row in rows]
        males = [row[column + 1] for row in rows]
        swap = dict(zip(females, males, strict=True)) | dict(zip(males, females, strict=True))
        assert len(swap) == 2 * len(rows)
        assert all(swap[swap[word]] == word for word in swap)


def test_neutral_words_are_not_sensitive_themselves(lexicon: Lexicon) -> None:
    for form in forms_of_entries(lexicon):
        for word in form.neutral.split():
            items = [
                item
                for entry in lexicon.entries.get(word, ())
                if not entry.rest
                for item in entry.items
            ]
            assert not any(item.form and item.form.role not in HINTS for item in items), word


def test_a_phrase_with_a_canonical_word_has_all_its_counterparts(lexicon: Lexicon) -> None:
    phrases = {
        (first, *entry.rest): entry
        for first, entries in lexicon.entries.items()
        for entry in entries
    }
    swaps = {
        text: form
        for form in forms_of_entries(lexicon)
        if form.role in HEADS | PRONOUNS | {Role.ADJECTIVE}
        for text in form.texts
        if text.isalpha()
    }
    for tokens in phrases:
        if len(tokens) == 1:
            continue
        for place, token in enumerate(tokens):
            for other in swaps[token].texts if token in swaps else ():
                assert (
                    not other.isalpha() or (*tokens[:place], other, *tokens[place + 1 :]) in phrases
                )


def test_persons_are_neither_things_nor_sensitive(lexicon: Lexicon) -> None:
    assert not lexicon.things & lexicon.persons.keys()
    assert not lexicon.things & lexicon.words


def test_no_noun_with_a_gendered_ending_is_taken_for_genderless(lexicon: Lexicon) -> None:
    endings = ("ess", "trix", "mistress", "mother", "father", "maid", "lady", "wife", "husband")
    left = {noun for noun in lexicon.persons if noun.endswith(endings)}
    assert left <= {"witness", "eyewitness", "highness"}


def test_nationalities_map_to_public_values(lexicon: Lexicon) -> None:
    values = lexicon.values_of("ethnicity")
    assert {row[0] for row in read_rows("nationalities.tsv")} <= set(values)
