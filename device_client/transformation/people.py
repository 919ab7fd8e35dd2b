"""Which person every sensitive word belongs to, decided from the masked text alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from device_client.transformation.forms import HEADS, PRONOUNS, Mark, Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.noun_phrase import Found, described_by, is_person_noun
from device_client.transformation.pronouns import case_of
from device_client.transformation.tokens import Line

_SOME = frozenset({"one", "other", "another"})
_ARTICLES = frozenset({"a", "an", "the"})
_TOWARDS = frozenset({"at", "to", "with", "for", "towards", "toward", "after"})
_IS = frozenset({"is", "are", "was", "were"})
_WHO_IS = (["who", "is"], ["who", "was"], ["that", "is"], ["that", "was"])


@dataclass
class People:
    """The persons of a prompt, numbered in the order of their first mention.

    Attributes:
        count: How many there are so far.
        by_head: Person of a noun, by its place.
        named: Persons that a singular pronoun may mean, oldest first.
        topic: The person of the last pronoun.
        fresh: Whether a new person was named after that pronoun.
        last: The person mentioned last.
    """

    count: int = 0
    by_head: dict[int, int] = field(default_factory=dict)
    named: list[int] = field(default_factory=list)
    topic: int | None = None
    fresh: bool = False
    last: int | None = None

    def new(self) -> int:
        """Adds a person."""
        self.count += 1
        return self.count - 1

    def of_head(self, place: int) -> int:
        """Returns the person of a noun; nouns side by side name one."""
        person = self.by_head.get(place, self.by_head.get(place - 1))
        self.by_head[place] = self.new() if person is None else person
        return self.by_head[place]

    def rename(self, place: int) -> None:
        """Notes that a noun names the last person once more: "a princess who is a wizard"."""
        if self.last is not None:
            self.by_head.setdefault(place, self.last)

    def mention(self, person: int, *, singular: bool) -> None:
        """Notes that a noun named a person."""
        self.last = person
        if singular and person not in self.named:
            self.named.append(person)
            self.fresh = True

    def of_pronoun(self, actor: int | None) -> int:
        """Returns the person that a pronoun means.

        That is the last pronoun's person if no new one was named since, else the only one named.
        Where the masked text leaves it open, the pronoun is a person of its own.

        Args:
            actor: Whom it cannot mean: "she" of "she kisses him", which else would be "herself".
        """
        person = self.topic if self.topic is not None and not self.fresh else None
        if person is None and len(self.named) == 1:
            person = self.named[0]
        if person is None or person == actor:
            other = self.new()
            self.named.append(other)
            self.fresh = person is not None
            person = other
        else:
            self.fresh = False
        self.topic, self.last = person, person
        return person

    def of_tag(self) -> int:
        """Returns the person that a word without a noun describes: the last, or one left unsaid."""
        if self.last is None:
            self.last = self.new()
        return self.last


def assign(line: Line, lexicon: Lexicon) -> dict[int, int]:
    """Finds the person of every mark.

    Args:
        line: A settled line.
        lexicon: Nouns.

    Returns:
        Persons by the mark's place, in the order of places.
    """
    people = People()
    owners: dict[int, int] = {}
    persons = lexicon.persons
    for place in [place for place, key in enumerate(line.keys) if key in lexicon.mentions]:
        mark, key = line.marks[place], line.keys[place]
        if key in _ARTICLES and line.keys[max(place - 2, 0) : place] in _WHO_IS:
            people.rename(_noun_after(line, place, lexicon))
        if mark is not None:
            owners[place] = _owner(line, place, mark, people, lexicon)
        elif key in persons:
            people.mention(people.of_head(place), singular=not persons[key])
    return owners


def _owner(line: Line, place: int, mark: Mark, people: People, lexicon: Lexicon) -> int:
    role = mark.form.role
    if role in PRONOUNS:
        return people.of_pronoun(_actor(line, place, people, lexicon))
    if role in HEADS:
        return _named(people, place, singular=role is not Role.PLURAL)
    described, noun = described_by(line, place, lexicon)
    if described is Found.PERSON and noun != place:
        return people.of_head(noun)
    if mark.form.attribute == "gender" and (
        place in people.by_head or _is_noun(line, place, lexicon)
    ):
        return _named(people, place, singular=True)
    return people.new() if _is_of_one(line, place) else people.of_tag()


def _is_of_one(line: Line, place: int) -> bool:
    """Tells "one black, the other white" and "one is black"."""
    while place and (line.marks[place - 1] or line.keys[place - 1] in _IS):
        place -= 1
    return place > 0 and line.keys[place - 1] in _SOME


def _actor(line: Line, place: int, people: People, lexicon: Lexicon) -> int | None:
    """Returns who does what is done to a pronoun's person: "smiles at him", "is kissing him"."""
    mark = line.marks[place]
    if mark is None or mark.form.role is not Role.OBLIQUE:
        return None
    verb = place - 2 if place > 1 and line.keys[place - 1] in _TOWARDS else place - 1
    here = verb - 1
    while here > 0 and (line.keys[here] in _IS or line.keys[here].endswith("ly")):
        here -= 1
    if here < 0 or line.marks[verb] is not None or not _is_verb(line.keys[verb], lexicon):
        return None
    if case_of(line, place, lexicon) is not Role.OBJECT:
        return None
    doer = line.marks[here]
    if doer is not None and doer.form.role is Role.SUBJECT:
        return people.topic
    return people.by_head.get(here)


def _is_verb(key: str, lexicon: Lexicon) -> bool:
    return key in lexicon.verb_forms or key in lexicon.verbs or key.endswith("ing")


def _named(people: People, place: int, *, singular: bool) -> int:
    person = people.of_head(place)
    people.mention(person, singular=singular)
    return person


def _noun_after(line: Line, place: int, lexicon: Lexicon) -> int:
    """Returns the place of the noun that an article belongs to, or -1 if it is no person's."""
    for here in range(place + 1, len(line.keys)):
        mark, key = line.marks[here], line.keys[here]
        if is_person_noun(line, here, lexicon):
            return here
        if not mark and (not key.isalpha() or key in lexicon.context.boundaries):
            break
    return -1


def _is_noun(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "the male has a drink" from ", male,"."""
    while place and (before := line.marks[place - 1]) and before.form.role is Role.ADJECTIVE:
        place -= 1
    return place > 0 and line.keys[place - 1] in lexicon.context.determiners
