"""How English states an age: the patterns that the age grammar looks for.

A pattern's groups say what it found:

    span  what is an age, if that is not the whole match
    n     a number of years; with `u`, its unit
    p, d  a part of a decade ("late") and the decade
    s     a plural's ending: the age stands for people
    year  of birth; `tens` where only its decade is said, of 19..
    w     a word that must mean a person, for the match to count
    than, than_self  "younger" or "older", where an age is told by comparing it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

BEFORE: Final = "\ue000"
AFTER: Final = "\ue100"
PEOPLE: Final = "\ue200"

UNITS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS: Final = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
DECADES: Final = {
    "teens": 10, "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60,
    "seventies": 70, "eighties": 80, "nineties": 90,
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One way to state an age.

    Attributes:
        pattern: What to look for, in lower case.
        kind: What the age becomes: said BEFORE its person, AFTER it, or PEOPLE themselves.
        verb: What stands before the age in the place of a verb that is part of the span.
        of_person: Whether it counts only where a person was mentioned before.
    """

    pattern: re.Pattern[str]
    kind: str = BEFORE
    verb: str = ""
    of_person: bool = False


_H = r"(?: ?- ?| )?"
_UNIT = "|".join(UNITS)
_TEEN = "|".join(TEENS)
_TEN = "|".join([*TENS, "fourty"])
_DIGITS = r"(?:(?<!\d)(?<!\d )(?:\d{1,3}|\d(?: \d){1,2})|(?<=\d )\d\d)(?! ?\d)"
_HUNDRED = rf"(?:(?:one|a) )?hundred(?: and)?(?:{_H}(?:{_TEEN}|{_UNIT}))?"
_NUMBER = rf"(?:{_DIGITS}|{_HUNDRED}|(?:{_TEN}){_H}(?:{_UNIT})?|{_TEEN}|{_UNIT})"
_N = rf"(?P<n>{_NUMBER})"
_ABOUT_WORD = (
    "about|around|approximately|roughly|(?:(?:well|just) )?(?:over|under|past)|nearly|almost|only"
    "|just|exactly|at least|at most|(?:no )?(?:more|less|older|younger) than|up to|close to|pushing"
    "|approaching|nearing|hitting|barely|hardly|scarcely|not (?:yet|quite)|north of|south of"
    "|(?:on )?the (?:wrong|right|far|other) side of"
)
_ABOUT = rf"(?:(?:{_ABOUT_WORD}) )?"
_OF_DECADE = "early|mid|middle|late"
_PART = rf"(?:(?:very )?(?:{_OF_DECADE})(?:{_H}(?:or|to|/){_H}(?:{_OF_DECADE}))?{_H})?"
_ANY_DECADE = rf"(?:'? ?[1-9] ?0 ?'? ?s\b|(?:{'|'.join(DECADES)})\b)"
_DECADE = rf"(?P<d>{_ANY_DECADE})"
_OR_DECADE = rf"(?:(?:,? (?:or|to|and) | ?[-/] ?){_PART}{_ANY_DECADE})?"
_SOME_PART = rf"(?P<p>(?:early|mid|late){_H})"
_SPAN = r"(?:y(?:ea)?rs?|months?|weeks?|days?)"
_AT_AGE = r"(?:aged?|at (?:the )?age|of age|between|from)(?: of)?"
_FROM = rf"(?:{_DIGITS} ?(?:-|to|or|and|/) ?|{_NUMBER} (?:to|or) )?"
_REST = r"(?: ?\+| and a half| ?-? ?plus| ?-? ?odd)?"
_ADVERB = "(?:(?:now|actually|really|already|still|in fact|secretly) )?"
_LOOKS = (
    "(?:(?:looks|looked|seems|seemed|appears|appeared|feels|felt|acts|acted)(?: like| to be)?"
    "|(?:could|can|would|might) (?:pass for|be)|passes for"
    "|(?:does(?: not|n't) look|looks not) a day (?:over|older than|past))"
)
_WHEN = "now|today|yesterday|recently|last|this|next"
_NEXT = f"and|but|{_WHEN}|in|on|at|with|wearing|holding|who"
_STOP = rf"(?= ?(?:$|[,;!?)]|\.(?!\d)|(?:{_NEXT}|\w+ing)\b))"
_TAG_END = r"(?= ?(?:,|$))"
_PERSON = (
    "wom[ae]n|m[ae]n|girls?|boys?|lady|ladies|gentlem[ae]n|gals?|guys?|lass(?:es)?|lads?|mothers?"
    "|fathers?|moms?|dads?|grand\\w+|grann(?:y|ies)|bab(?:y|ies)|toddlers?|infants?|newborns?"
    "|teenagers?|school(?:boy|girl)s?|wife|wives|husbands?|daughters?|sons?|sisters?|brothers?"
    "|queens?|kings?|princess|prince|actress|actor|child|children|kids?|teens?|person|people"
)
_W = r"\b(?P<w>[a-z]+)"
_MORE = r"(?:(?:, ?|,? and | ?& ?| ?/ ?)\d{1,2}\b)"
_SAID = rf"(?:{_TEN})(?:{_H}(?:{_UNIT}))?|{_TEEN}|{'|'.join(UNITS[1:])}"
_COUNT = rf"(?:{_ABOUT}(?:{_NUMBER}|an?|a few|several|many) )?(?:year|decade)s?"
_THAN_SELF = (
    "than (?:(?:he|she|they)(?: (?:really|actually))? (?:is|are)"
    "|(?:her|his|their) (?:(?:real|actual|true) )?(?:age|years))"
)
_COMPARED = (
    rf"(?:{_COUNT} (?P<than>younger|older)(?: {_THAN_SELF})?"
    rf"|(?:(?:much|far|a lot|a little|a bit) )?(?P<than_self>younger|older) {_THAN_SELF})"
)
_SINGLE = rf"(?:{_UNIT}|\d)\b"
_ERA = "style|fashion|movie|film|era|music|photo|look|outfit"
_NOT_AGED = "shot|taken|captured|photographed|filmed|rendered|set|looking|staring|camera|lens|time"
_HOUR = "at night|in the (?:morning|afternoon|evening)"

RULES: Final = (
    # 60 going on 30
    Rule(re.compile(rf"\b{_N}(?:{_H}{_SPAN}{_H}old)? going on {_NUMBER}\b")),
    # 5-year-olds
    Rule(re.compile(rf"\b{_N}{_H}{_SPAN}{_H}olds\b"), PEOPLE),
    # about 20 years old, of 60 years of age
    Rule(
        re.compile(
            rf"\b{_ABOUT}(?:{_AT_AGE} )?{_FROM}{_N}{_REST}{_H}(?P<u>{_SPAN}){_H}(?:old|of age)\b"
        )
    ),
    # an 18 year girl
    Rule(
        re.compile(
            rf"\b{_N}{_H}(?P<u>{_SPAN})(?= (?:young|middle-aged|{_PERSON}|(?:fe)?male|caucasian"
            r"|african|asian|indian|european)\b)"
        )
    ),
    # 19yo
    Rule(
        re.compile(
            rf"\b{_ABOUT}(?P<n>\d(?: ?\d){{0,2}}) ?-? ?(?:y\.o\.|(?:y ?/ ?o|yo|y\.o|yrs?)\b)"
        )
    ),
    # in her late 60s
    Rule(
        re.compile(
            rf"\b(?:both )?(?:(?:well |deep )?into|in) (?:her|his|their|my|our|your|its) "
            rf"(?P<p>{_PART}){_DECADE}{_OR_DECADE}(?! (?:{_ERA})\b)"
        ),
        AFTER,
    ),
    # aged 61, (age: 21)
    Rule(
        re.compile(
            r"(?<!middle-)(?<!middle )(?<!- )"
            r"\b(?:aged|(?:at |of |in )?(?:the )?ages?(?: of)?)(?: ?[:=] ?| )"
            rf"{_ABOUT}{_FROM}{_N}\b(?! ?(?:ad|bc|th)\b)"
        ),
        AFTER,
    ),
    # she is 67 and smiling
    Rule(
        re.compile(
            rf"(?<!doctor )\b(?:he|she|who|{_PERSON})(?: is|'s| was) "
            rf"(?P<span>{_ADVERB}(?!one\b){_ABOUT}{_N}){_STOP}"
        )
    ),
    # she has just turned 30
    Rule(
        re.compile(
            r"\b(?:he|she|who)(?P<span>(?:'s| has| had)?(?: just| recently| finally)? turn(?:s|ed)"
            rf" {_ABOUT}{_N}){_STOP}"
        ),
        verb=" is ",
    ),
    # a man who looks about 80
    Rule(
        re.compile(
            rf"\b(?:he|she|who)(?P<span>(?: still| now)? {_LOOKS}"
            rf" {_ADVERB}(?!one\b){_ABOUT}{_N}){_STOP}"
        ),
        verb=" is ",
    ),
    # a man who looks 25 but is really 50
    Rule(
        re.compile(
            rf"\b(?:but|yet|and|though|although)(?P<span> {_ADVERB}(?:is|was|{_LOOKS})"
            rf" {_ADVERB}(?!one\b){_ABOUT}{_N}){_STOP}"
        ),
        verb=" is ",
        of_person=True,
    ),
    # a woman who looks 20 years younger than she is
    Rule(
        re.compile(rf"\b(?:he|she|who)(?P<span>(?: still| now)? {_LOOKS} {_COMPARED}){_STOP}"),
        verb=" is ",
    ),
    # a woman looking 20 years younger
    Rule(
        re.compile(rf"{_W},? (?P<span>(?:(?:made to look|looking) )?{_COMPARED}){_STOP}"),
        AFTER,
    ),
    # people who look 40
    Rule(
        re.compile(
            r"\b(?:they|who)(?P<span> (?:look|seem|appear)(?: to be)?"
            rf" (?!one\b){_ABOUT}{_N}){_STOP}"
        ),
        verb=" are ",
    ),
    # a woman looking 40
    Rule(re.compile(rf"{_W},? (?P<span>looking (?!one\b){_ABOUT}{_N}){_STOP}"), AFTER),
    # a woman, thirty years
    Rule(re.compile(rf"{_W}, ?(?P<span>{_ABOUT}{_N} years){_TAG_END}"), AFTER),
    # a man, thirty, in a suit
    Rule(re.compile(rf"{_W}, ?(?P<span>(?P<n>{_SAID})){_TAG_END}"), AFTER),
    # a 40-plus woman
    Rule(re.compile(rf"\b{_N}(?: ?- ?plus|(?<=\ba \d\d) ?\+)(?= (?P<w>[a-z]+))")),
    # my daughter just turned 7
    Rule(
        re.compile(
            rf"{_W} (?P<span>(?:has |had )?(?:just |recently |finally )?turn(?:s|ed|ing)"
            rf" {_ABOUT}{_N}){_STOP}"
        ),
        AFTER,
    ),
    # a man of forty years, a mother of two
    Rule(
        re.compile(
            rf"\b(?:(?!mother|father|mom|dad)(?:{_PERSON}) of|(?:{_PERSON}) of (?!{_SINGLE})) ?"
            rf"(?P<span>{_ABOUT}{_N}(?: years)?){_STOP}"
        ),
        AFTER,
    ),
    # my grandmother at 80
    Rule(
        re.compile(
            rf"\b(?!(?:{_NOT_AGED})\b)[a-z]+,? (?P<span>at (?!{_SINGLE}){_ABOUT}{_N})"
            rf"(?! (?:{_HOUR})){_STOP}"
        ),
        AFTER,
    ),
    # a woman pushing 50
    Rule(
        re.compile(rf"{_W},? (?P<span>(?:of )?(?:{_ABOUT_WORD}) (?!one\b){_N}(?: years)?){_STOP}"),
        AFTER,
    ),
    # a woman, late 50s
    Rule(
        re.compile(
            rf"\b(?:{_PERSON}|(?:fe)?male),? "
            rf"(?P<span>(?:in )?(?P<p>(?:early|mid|late)?{_H}){_DECADE}){_STOP}"
        ),
        AFTER,
    ),
    # an engineer, early 30s
    Rule(re.compile(rf"{_W},? (?P<span>(?:in )?{_SOME_PART}{_DECADE}){_STOP}"), AFTER),
    # a businesswoman, 40s, in a suit
    Rule(re.compile(rf"{_W}, ?(?P<span>{_DECADE}){_TAG_END}"), AFTER),
    # a late 20s woman
    Rule(re.compile(rf"\b{_SOME_PART}{_DECADE}(?= (?:{_PERSON}|(?:fe)?male)\b)")),
    # late fifties, as a tag
    Rule(
        re.compile(rf"(?:^|, ?)(?P<span>{_SOME_PART}(?P<d>{'|'.join(DECADES)})){_TAG_END}"),
    ),
    # late 50s, as a tag
    Rule(re.compile(rf", ?(?P<span>{_SOME_PART}{_DECADE}){_TAG_END}"), of_person=True),
    # a sailor (60s)
    Rule(re.compile(rf"{_W} ?(?P<span>\({_SOME_PART}?{_DECADE}\))"), AFTER),
    # thirty-something
    Rule(re.compile(rf"\b(?P<d>{_TEN}|\d ?0){_H}(?:something|ish)(?P<s>s?)\b")),
    # 50th birthday
    Rule(re.compile(r"\b(?P<n>\d(?: ?\d){0,2}) ?(?:st|nd|rd|th)(?= birthday)")),
    # under-12 girls, over 60s ladies, a U21 footballer
    Rule(
        re.compile(
            r"\b(?:(?:over|under|u)-?|(?:over|under) (?=\d\ds\b))(?P<n>\d\d)s?(?= (?P<w>[a-z]+))"
        )
    ),
    # born in 1950, born in the 60s
    Rule(
        re.compile(
            r"(?:\b(?:who was |was )?born|\bb\.)(?: in| around| circa)? (?:the )?"
            r"(?:(?P<year>(?:19|20)\d\d)(?!s)|'?(?:19)?(?P<tens>[2-9]0)'?s)\b"
        ),
        AFTER,
    ),
    # daughters (12 and 9)
    Rule(re.compile(rf"{_W} ?(?P<span>\((?P<n>\d\d?){_MORE}*\))"), AFTER),
    # a woman (61)
    Rule(re.compile(rf"(?<=[a-z)]) ?(?P<span>\((?P<n>\d\d){_MORE}*\))"), AFTER, of_person=True),
    # a woman, smiling, 61, in a garden
    Rule(re.compile(rf"(?<=[a-z)]), ?(?P<span>(?P<n>\d\d)){_TAG_END}"), AFTER, of_person=True),
    # two sisters, 4 and 7, in a garden
    Rule(re.compile(rf"{_W}, (?P<span>(?P<n>\d\d?){_MORE}+){_STOP}"), AFTER),
    # father 60, son 30; a couple, both 75
    Rule(re.compile(rf"{_W},? (?P<span>(?:both |each )?(?P<n>\d\d){_MORE}*){_STOP}"), AFTER),
)
