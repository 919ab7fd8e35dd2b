"""The age grammar: ages 0..119 in digits, words and decades become private-use characters.

The prompt's canonical spelling holds no such character, so no user can forge what is written here.
"""

from __future__ import annotations

import re

BEFORE = "\ue000"
AFTER = "\ue100"
PEOPLE = "\ue200"
MAX_YEARS = 119

_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_DECADES = {
    "teens": 10, "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60,
    "seventies": 70, "eighties": 80, "nineties": 90,
}  # fmt: skip


def _number_words() -> dict[str, int]:
    words = {word: number for number, word in enumerate(_UNITS, 1)}
    words |= {word: number for number, word in enumerate(_TEENS, 10)}
    words |= {word: 10 * number for number, word in enumerate(_TENS, 2)}
    words |= {"fourty": 40, "hundred": 100, "a hundred": 100, "one hundred": 100}
    return words


_WORDS = _number_words()
_H = r"(?: ?- ?| )?"
_UNIT = "|".join(_UNITS)
_TEEN = "|".join(_TEENS)
_TEN = "|".join([*_TENS, "fourty"])
_DIGITS = r"(?:(?<!\d)(?<!\d )(?:\d{1,3}|\d(?: \d){1,2})|(?<=\d )\d\d)(?! ?\d)"
_HUNDRED = rf"(?:(?:one|a) )?hundred(?: and)?(?:{_H}(?:{_TEEN}|{_UNIT}))?"
_NUMBER = rf"(?:{_DIGITS}|{_HUNDRED}|(?:{_TEN}){_H}(?:{_UNIT})?|{_TEEN}|{_UNIT})"
_ABOUT_WORD = "about|around|approximately|roughly|over|nearly|almost|only|just|exactly|at least"
_ABOUT = rf"(?:(?:{_ABOUT_WORD}) )?"
_PART = rf"(?:(?:very )?(?:early|mid|middle|late)(?: or late| to mid| to late)?{_H})?"
_DECADE = rf"(?:'? ?[1-9] ?0 ?'? ?s\b|{'|'.join(_DECADES)})"
_SPAN = r"(?:y(?:ea)?rs?|months?|weeks?|days?)"
_AT_AGE = r"(?:aged?|at (?:the )?age|of age|between|from)(?: of)?"
_FROM = rf"(?:{_DIGITS} ?(?:-|to|or|and|/) ?|{_NUMBER} (?:to|or) )?"
_REST = r"(?: ?\+| and a half| plus)?"
_STOP = r"(?= ?(?:$|[,;!?)]|\.(?!\d)|(?:and|but|now|today|in|on|at|with|wearing|holding|who)\b))"
_PERSON = (
    "wom[ae]n|m[ae]n|girls?|boys?|lady|ladies|gentlem[ae]n|gals?|guys?|lass(?:es)?|lads?|mothers?"
    "|fathers?|moms?|dads?|grand\\w+|grann(?:y|ies)|bab(?:y|ies)|toddlers?|infants?|newborns?"
    "|teenagers?|school(?:boy|girl)s?|wife|wives|husbands?|daughters?|sons?|sisters?|brothers?"
    "|queens?|kings?|princess|prince|actress|actor|child|children|kids?|teens?|person|people"
)
_ERA = "style|fashion|movie|film|era|music|photo|look|outfit"

_HINTS = (
    "year", "yr", "month", "week", "something", "birthday", " aged", "(aged", " age ", " ages ",
    "ties", "teens", "y/o", "y / o", "y.o", "0s", "0 s", "0's", "0 's", "0ish",
    "tyish", "(age", "age:", "age :", "he is ", "he's", "he was ", "who is ", "who was ",
    "turned ", "turns ", "turning ", " of ", " is ", "0-ish",
)  # fmt: skip
_SHORT_HINT = re.compile(r"\d ?-? ?yo\b|[a-z)],? ?\(?\d\d\)? ?(?:,|$)")
_PEOPLE_OLD = re.compile(rf"\b(?P<n>{_NUMBER}){_H}{_SPAN}{_H}olds\b")
_OLD = re.compile(
    rf"\b{_ABOUT}(?:{_AT_AGE} )?{_FROM}(?P<n>{_NUMBER}){_REST}{_H}(?P<u>{_SPAN}){_H}"
    r"(?:old|of age)\b"
)
_SHORT = re.compile(rf"\b{_ABOUT}(?P<n>\d(?: ?\d){{0,2}}) ?-? ?(?:y ?/ ?o|yo|y\.o\.?|yr|yrs)\b")
_AGED = re.compile(
    r"(?<!middle-)(?<!middle )(?<!- )"
    r"\b(?:aged|(?:at |of |in )?(?:the )?ages?(?: of)?)(?: ?[:=] ?| )"
    rf"{_ABOUT}{_FROM}(?P<n>{_NUMBER})\b(?! ?(?:ad|bc|th)\b)"
)
_IS = re.compile(
    rf"(?<!doctor )\b(?:he|she|who|{_PERSON})(?: is|'s| was| turns| turned| just turned| turning)"
    rf"(?: now)? (?!one\b){_ABOUT}(?P<n>{_NUMBER}){_STOP}"
)
_OF = re.compile(
    rf"\b(?:(?!mother|father|mom|dad)(?:{_PERSON}) of|(?:{_PERSON}) of (?!(?:{_UNIT}|\d)\b)) ?"
    rf"{_ABOUT}(?P<n>{_NUMBER}){_STOP}"
)
_LATE = re.compile(
    rf"\b(?:{_PERSON}|(?:fe)?male),? (?P<n>(?:in )?(?P<p>(?:early|mid|late)?{_H})(?P<d>{_DECADE}))"
    rf"{_STOP}"
)
_EARLY = re.compile(
    rf"\b(?P<p>(?:early|mid|late){_H})(?P<d>{_DECADE})(?= (?:{_PERSON}|(?:fe)?male)\b)"
)
_IN_DECADE = re.compile(
    rf"\bin (?:her|his|their|my|our|your|its) (?P<p>{_PART})(?P<d>{_DECADE})(?! (?:{_ERA})\b)"
)
_SOMETHING = re.compile(rf"\b(?:(?P<d>{_TEN})|(?P<n>\d ?0)){_H}(?:something|ish)(?P<s>s?)\b")
_BEFORE_PERSON = re.compile(
    rf"\b(?P<n>{_NUMBER}){_H}(?P<u>{_SPAN})(?= (?:young|middle-aged|{_PERSON}|(?:fe)?male|caucasian"
    r"|african|asian|indian|european)\b)"
)
_BIRTHDAY = re.compile(r"\b(?P<n>\d(?: ?\d){0,2}) ?(?:st|nd|rd|th)(?= birthday)")
_NUMBER_TAG = re.compile(r"(?<=[a-z)])(?:, ?| )(?P<n>(?<=,)\d\d|(?<=, )\d\d|\(\d\d\))(?= ?(?:,|$))")
_DECADE_TAG = re.compile(
    rf"(?:^|, ?)(?P<n>(?P<p>(?:early|mid|late){_H})(?P<d>{'|'.join(_DECADES)}))(?= ?(?:,|$))"
)
_PATTERNS = (
    _PEOPLE_OLD,
    _OLD,
    _BEFORE_PERSON,
    _SHORT,
    _IN_DECADE,
    _AGED,
    _IS,
    _OF,
    _LATE,
    _EARLY,
    _SOMETHING,
    _BIRTHDAY,
    _NUMBER_TAG,
    _DECADE_TAG,
)
_INNER = {_IS, _OF, _LATE, _NUMBER_TAG, _DECADE_TAG}  # only their group "n" is the age
_KINDS = {_PEOPLE_OLD: PEOPLE} | dict.fromkeys((_AGED, _OF, _IN_DECADE, _LATE, _NUMBER_TAG), AFTER)


def years_of(number: str) -> int | None:
    """Reads a number of years.

    Args:
        number: Digits, possibly with spaces between them, or English words, in lower case.

    Returns:
        The number, or None if it is not one of 0..119.
    """
    digits = number.replace(" ", "")
    if digits.isdigit():
        years = int(digits)
        return years if years <= MAX_YEARS else None
    words = [word for word in re.split(r"[ -]+", number) if word not in {"a", "and"}]
    total = sum(_WORDS.get(word, 0) for word in words if word != "hundred")
    if "hundred" in words:
        total = 100 + total - (words[0] == "one")
    return total


def _decade_years(part: str, decade: str) -> int:
    start = _DECADES.get(decade) or int(re.sub(r"\D", "", decade))
    offset = 2 if part.startswith(("early", "very early")) else 8 if "late" in part else 5
    return start + offset


class AgeGrammar:
    """Writes ages as private-use characters, one per public value.

    Args:
        up_to_years: Highest age, inclusive, of all values but the last.
    """

    def __init__(self, up_to_years: tuple[int, ...]) -> None:
        self._up_to_years = up_to_years

    def value_of(self, years: int) -> int:
        """Returns the place of the public value for an age in whole years."""
        return sum(years > limit for limit in self._up_to_years)

    def find(self, folded: str) -> list[tuple[int, int, str]]:
        """Finds the ages of a text.

        Args:
            folded: Text in lower case.

        Returns:
            For every age its start, end and replacement, from left to right.
        """
        found: list[tuple[int, int, str]] = []
        padded = " " + folded
        hinted = [hint for hint in _HINTS if hint in padded]
        if hinted or _SHORT_HINT.search(folded):
            for pattern in _PATTERNS:
                for match in pattern.finditer(folded):
                    self._add(match, pattern, found)
        return sorted(found)

    def _add(
        self, match: re.Match[str], pattern: re.Pattern[str], found: list[tuple[int, int, str]]
    ) -> None:
        start, end = match.start("n" if pattern in _INNER else 0), match.end()
        years = self._years(match, pattern)
        if years is None or any(start < other_end and other < end for other, other_end, _ in found):
            return
        kind = _KINDS.get(pattern, BEFORE)
        if pattern is _SOMETHING and match["s"]:
            kind = PEOPLE
        found.append((start, end, chr(ord(kind) + self.value_of(years))))

    @staticmethod
    def _years(match: re.Match[str], pattern: re.Pattern[str]) -> int | None:
        if pattern in {_IN_DECADE, _LATE, _EARLY, _DECADE_TAG}:
            return _decade_years(match["p"], match["d"])
        if pattern is _SOMETHING:
            return 5 + (_WORDS[match["d"]] if match["d"] else int(match["n"].replace(" ", "")))
        if pattern in {_OLD, _BEFORE_PERSON} and not match["u"].startswith("y"):
            return 0
        return years_of(match["n"].strip("()"))
