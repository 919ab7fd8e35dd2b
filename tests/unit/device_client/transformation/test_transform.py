"""Prompts and their masked texts: one line for every kind of word."""

import pytest

from device_client.private_side.choice import index_of, own_words_of
from device_client.transformation import Transformation, transform
from obclip.errors import InvalidRequest


def own_candidate(hidden: Transformation) -> str:
    return hidden.skeleton.candidates()[index_of(hidden.choice)]


@pytest.mark.parametrize(
    ("prompt", "masked"),
    [
        # gender, age and ethnicity in one noun phrase
        ("an old asian man", "a [age] [ethnicity] [woman/man]"),
        ("A young woman", "A [age] [woman/man]"),
        ("young, african, female, portrait", "[age], [ethnicity], [female/male], portrait"),
        ("a girl in a red hat", "a [age] [woman/man] in a red hat"),
        ("an African girl", "a [age] [ethnicity] [woman/man]"),
        ("a teenage girl", "a [age] [woman/man]"),
        ("a young, old man", "a [age] [woman/man]"),
        ("babushka and dedushka", "[age] [woman/man] and [woman/man]"),
        ("a high school senior", "a [age] student"),
        ("a grandma with a cat", "a [age] [woman/man] with a cat"),
        ("a child and a baby elephant", "a [age] person and a baby elephant"),
        ("a Nigerian actress", "a [ethnicity] [actress/actor]"),
        ("a latina with a fan", "a [ethnicity] with a fan"),
        ("two latinas with fans", "two [ethnicity] [women/men] with fans"),
        ("an asian male in his 20s", "a [age] [ethnicity] [female/male]"),
        ("a boy named Max on a swing", "a [age] [woman/man] on a swing"),
        ("a dog named Charlie", "a dog"),
        ("a nurse named Ann in a dress", "a [female/male] nurse in an outfit"),
        ("scientist Emily Carter in a skirt", "[female/male] scientist in a garment"),
        ("Dr. Emily Watson in a dress", "A [female/male] doctor in an outfit"),
        ("Dr. Watson in a lab", "A doctor in a lab"),
        ("Lieutenant Sarah O'Connor in a dress", "[female/male] Lieutenant in an outfit"),
        ("the female doctor Emily Watson", "the [female/male] doctor"),
        ("Queen Elizabeth", "[queen/king]"),
        ("her brother jack fishing", "[her/his] [sister/brother] fishing"),
        ("my brother drew a cat", "my [sister/brother] drew a cat"),
        # a relative whose age is told is one only beside an owner
        ("my dear grandma", "my dear [age] [female/male] relative"),
        ("two grandparents dancing", "two [age] people dancing"),
        # an adjective that was the whole predicate
        ("a man, he is bald", "a [woman/man], [she/he] is shown"),
        ("she is pregnant and happy", "[she/he] is happy"),
        ("a tall and bald man", "a tall [woman/man]"),
        # what a trait does goes with it, what its person does stays
        ("a woman crying, mascara running down her face", "a [woman/man] crying"),
        ("an old man, long beard flowing in the wind, at sea", "a [age] [woman/man], at sea"),
        ("an old man, long beard wearing a hat", "a [age] [woman/man] wearing a hat"),
        ("kindergarten girl drawing", "[age] [female/male] student drawing"),
        ("a fireman on a ladder", "a [female/male] firefighter on a ladder"),
        ("an american diner with a waitress", "an american diner with a [waitress/waiter]"),
        # somebody to whom it is done is not who does it
        ("a couple, she kisses him", "a couple, [she/he] kisses [her/him]"),
        ("a man with a dog beside him", "a [woman/man] with a dog beside [her/him]"),
        ("a cyberpunk hacker girl", "a [age] cyberpunk hacker [woman/man]"),
        ("a woman with curls and dark skin, dusk", "a [ethnicity] [woman/man] with curls, dusk"),
        ("a black man with an afro", "a [ethnicity] [woman/man] with curly hair"),
        ("a lady with a pearl necklace", "a [woman/man] with a jewel"),
        ("a blonde woman, pixie cut", "a blond [woman/man]"),
        ("a man in a three-piece suit", "a [woman/man] in a suit"),
        ("2boys, yaoi", "2 [age] [women/men]"),
        ("henna on an indian bride's hands", "paint on a [ethnicity] [bride/groom]'s hands"),
        ("a man with a salt and pepper beard", "a [woman/man]"),
        ("my uncle bob, grilling", "my [aunt/uncle], grilling"),
        ("a man without a beard", "a [woman/man]"),
        ("a man with a man bun", "a [woman/man] with a bun"),
        ("a bald man, pin-up style", "a [woman/man], retro style"),
        ("an old man, edward hopper style", "a [age] [woman/man], edward hopper style"),
        ("a chinaman in a coat", "a [ethnicity] [woman/man] in a coat"),
        ("a 19 y.o. girl, smiling", "a [age] [woman/man], smiling"),
        ("two Frenchwomen", "two [ethnicity] [women/men]"),
        ("a black woman in a black coat", "a [ethnicity] [woman/man] in a black coat"),
        ("a black and white photo of a man", "a black and white photo of a [woman/man]"),
        ("an old house, an old wizard", "an old house, a [age] [witch/wizard]"),
        ("a heroine", "a [female/male] hero"),
        ("two policemen's hats", "two [policewomen/policemen]'s hats"),
        ("the ladies' choice", "the [women/men]'s choice"),
        ("a watchman", "a [watchwoman/watchman]"),
        ("a catgirl", "a [age] cat [woman/man]"),
        ("1girl, solo", "1 [age] [woman/man], solo"),
        # things and offices
        ("a teddy bear on a king bed", "a teddy bear on a large bed"),
        ("the pope and a sea urchin", "the [female/male] church leader and a sea urchin"),
        ("a clown. Child's art.", "a clown. [age] person's art."),
        # names
        ("jordan peterson in jordan", "a person in jordan"),
        ("a view of sydney harbour", "a view of sydney harbour"),
        ("art by ann lee, john singer sargent", "art by ann lee, john singer sargent"),
        ("anna fire in a boat", "a [woman/man] in a boat"),
        # ages
        ("a 78-year-old man", "a [age] [woman/man]"),
        ("a woman in her 60s, smiling", "a [age] [woman/man], smiling"),
        ("a tall woman aged 25", "a tall [age] [woman/man]"),
        ("a woman, 25 years old, in Paris", "a [woman/man], [age], in Paris"),
        ("he is about 20 years old", "[she/he] is [age]"),
        ("my daughter just turned 7, cake", "my [age] [daughter/son], cake"),
        ("he has just turned 30.", "[she/he] is [age]."),
        ("taxi driver, 55, rain", "[age] taxi driver, rain"),
        ("a school teacher in her 30s", "a [age] school teacher"),
        ("a Somali-American girl", "a [age] [ethnicity] [woman/man]"),
        ("two 5-year-olds", "two [age] people"),
        # words that name persons elsewhere
        ("a man with a Jackson guitar", "a [woman/man] with a jackson guitar"),
        ("a girl drinking Jack Daniels", "a [age] [woman/man] drinking jack daniels"),
        ("a TED talk by a woman", "a ted talk by a [woman/man]"),
        ("an old vespa", "an old vespa"),
        # origin and skin
        ("a girl with asian features", "a [ethnicity] [age] [woman/man]"),
        ("white ppl at brunch", "[ethnicity] ppl at brunch"),
        ("a pale woman under a pale moon", "a [ethnicity] [woman/man] under a pale moon"),
        ("a man from the Netherlands", "a [ethnicity] [woman/man]"),
        ("a woman of Russian descent", "a [ethnicity] [woman/man]"),
        ("a woman with very dark skin", "a [ethnicity] [woman/man]"),
        ("a half Chinese half Irish man", "a [ethnicity] [woman/man]"),
        ("a half black half white cat, a man", "a half black half white cat, a [woman/man]"),
        ("a white Mexican-American woman", "a [ethnicity] [woman/man]"),
        ("a chinese woman in Tokyo", "a [ethnicity] [woman/man] in a city"),
        # what gives an attribute away
        ("a man with a long white beard and blue eyes", "a [woman/man] with blue eyes"),
        ("a pregnant woman", "a [woman/man]"),
        ("a heavily pregnant nurse", "a [female/male] nurse"),
        ("bearded barista pouring latte art", "[female/male] barista pouring latte art"),
        ("a chef, bearded, smiling", "a [female/male] chef, smiling"),
        ("a pirate with a long black beard", "a [female/male] pirate"),
        ("a grey-haired doctor", "a [age] doctor"),
        ("a viking, his beard covered in frost", "a viking, [her/his] chin covered in frost"),
        ("a mother breastfeeding her cat", "a [mother/father] feeding [her/his] cat"),
        ("a businesswoman, 40s, smiling", "a [age] [businesswoman/businessman], smiling"),
        ("hands behind his back, a man", "hands behind [her/his] back, a [woman/man]"),
        ("a man, and his is short", "a [woman/man], and [hers/his] is short"),
        ("an adult male, 70, gray hair", "a [age] [woman/man]"),
        ("a goat with a beard", "a goat with a beard"),
        ("a man in a wrinkled coat", "a [woman/man] in a wrinkled coat"),
        ("a handsome bearded man", "a beautiful [woman/man]"),
        ("a woman in a dress", "a [woman/man] in an outfit"),
        ("a lesbian couple", "a couple"),
        ("a cis actress", "a [actress/actor]"),
        # names
        ("emma watson wearing a hat", "a [woman/man] wearing a hat"),
        ("queen elizabeth and her dog", "[queen/king] and [her/his] dog"),
        ("Mr. Bean waving", "A [woman/man] waving"),
        ("a woman by greg rutkowski and alphonse mucha",
         "a [woman/man] by greg rutkowski and alphonse mucha"),
        ("a castle in the style of Stephen King", "a castle in the style of Stephen King"),
        # pronouns
        ("a woman with her dog", "a [woman/man] with [her/his] dog"),
        ("a doctor washing his hands", "a doctor washing [her/his] hands"),
        ("someone told him that he won", "someone told [her/him] that [she/he] won"),
        ("a girl, he/she smiles", "a [age] [woman/man], they smiles"),
        # several persons
        ("a man gives a woman a laptop", "a [woman/man] gives a [woman/man] a laptop"),
        ("a father and his sons", "a [mother/father] and [her/his] [daughters/sons]"),
        ("a princess who is a fire wizard. she smiles", "a [princess/prince] who is a fire "
         "[witch/wizard]. [she/he] smiles"),
        # colours and nationalities as nouns
        ("a white standing beside a tree", "a [ethnicity] standing beside a tree"),
        ("a black and an asian walk home", "a [ethnicity] and a [ethnicity] walk home"),
        ("two blacks in the street", "two [ethnicity] in the street"),
        ("a young black who smiles", "a [age] [ethnicity] who smiles"),
        ("an Indian walks home", "a [ethnicity] walks home"),
        ("a young blonde smiles", "a [age] blond smiles"),
        ("an asian brunette smiles", "a [ethnicity] dark-haired smiles"),
        ("a Togolese nurse with a Cornish cook",
         "a [ethnicity] nurse with a [ethnicity of person 2] cook"),
        ("a half-Japanese girl", "a [age] [ethnicity] [woman/man]"),
        ("a mixed-race couple, a woman of color", "a couple, a [woman/man]"),
        ("a boomer with a millennial", "a [age] person with a [age of person 2] person"),
        # what is left of a phrase reads as English
        ("expression. eyeliner marks his eyes", "expression. paint marks [her/his] eyes"),
        ("a man, smearing red lipstick on a wall", "a [woman/man], smearing red paint on a wall"),
        # a word and its partner inside a longer one
        ("a statue of Vault Girl", "a statue of a [woman/man]"),
        ("She-Hulk in court", "A [woman/man] in court"),
        ("a she-wolf", "a [female/male] wolf"),
        ("an angel-girl", "a [age] angel-[woman/man]"),
        ("an asian anime girl", "a [age] [ethnicity] anime [woman/man]"),
        # colours that follow their person, and jobs
        ("she is Black", "[she/he] is [ethnicity]"),
        ("a doctor, Black, in a lab", "a doctor, [ethnicity], in a lab"),
        ("a Black doctor who is Black", "a [ethnicity] doctor who is [ethnicity]"),
        ("a white police officer", "a [ethnicity] police officer"),
        ("a black bus driver", "a [ethnicity] bus driver"),
        ("a black long-haired woman", "a [ethnicity] long-haired [woman/man]"),
        ("a black-haired woman, her hat is black", "a black-haired [woman/man], [her/his] hat is "
         "black"),
        ("a jet-black woman with jet-black hair", "a [ethnicity] [woman/man] with jet-black hair"),
        ("a Black, middle-aged woman", "a [ethnicity], [age] [woman/man]"),
        ("black and asian women", "[ethnicity] [women/men]"),
        ("a Black plus-size woman", "a [ethnicity] plus-size [woman/man]"),
        ("a man, black & white", "a [woman/man], black & white"),
        ("a girl has two cats, they are black", "a [age] [woman/man] has two cats, they are black"),
        # verbs end a noun phrase
        ("a child painting a picture", "a [age] person painting a picture"),
        ("young adults hiking", "[age] people hiking"),
        ("an Asian kneels", "a [ethnicity] kneels"),
        ("the Nigerian slowly walks away", "the [ethnicity] slowly walks away"),
        ("a German drank beer", "a [ethnicity] drank beer"),
        ("the blacks march", "the [ethnicity] march"),
        ("a child eats pizza", "a [age] person eats pizza"),
        ("a teenager can drive", "a [age] person can drive"),
        ("children wash a car", "[age] people wash a car"),
        ("a teen truck driver", "a [age] truck driver"),
        # peoples, words grown together, titles without a name
        ("two Arabs at a market", "two [ethnicity] at a market"),
        ("an oldwoman", "a [age] [woman/man]"),
        ("an asianwoman", "a [ethnicity] [woman/man]"),
        ("Mr and Mrs Smith", "[ms./mr.] and a [woman/man]"),
        ("a grey-bearded man", "a [woman/man]"),
        ("a woman in a sari", "a [woman/man] in a traditional garment"),
        # a name after "by" is no credit where it did something
        ("a doctor kissed by Maria", "a doctor kissed by a [woman/man]"),
        ("my friend Mark at the beach", "my [female/male] friend at the beach"),
        ("Jack plays football", "A [woman/man] plays football"),
        ("a woman of 60 and her cat", "a [age] [woman/man] and [her/his] cat"),
        ("she is 21 today", "[she/he] is [age] today"),
        ("mid-30s woman", "[age] [woman/man]"),
        ("3girls, smiling", "3 [age] [women/men], smiling"),
        # what a person does has an object, and only some ages are nouns
        ("a Korean drinking coffee", "a [ethnicity] drinking coffee"),
        ("the Korean drinking coffee", "the [ethnicity] drinking coffee"),
        ("this Korean kneels", "this [ethnicity] kneels"),
        ("an Italian holding flowers", "a [ethnicity] holding flowers"),
        ("a Swede cycling to work", "a [ethnicity] person cycling to work"),
        ("a senior in a wheelchair", "a [age] person in a wheelchair"),
        ("a senior reading a book", "a [age] person reading a book"),
        ("a senior's hat", "a [age] person's hat"),
        ("an elder and a dog", "a [age] person and a dog"),
        ("a Mexican-American elder in a park", "a [ethnicity] [age] person in a park"),
        ("an old or young man", "a [age] [woman/man]"),
        # peoples joined by a hyphen, and origins that are given names too
        ("a Mexican-American chef", "a [ethnicity] chef"),
        ("an Aboriginal Australian doctor", "a [ethnicity] doctor"),
        ("a Nepali guide", "a [ethnicity] guide"),
        ("a runner from Kenya winning", "a [ethnicity] runner winning"),
        ("a melanated model", "a [ethnicity] model"),
        # ages in tags
        ("an asian female, 25, chef", "a [age] [ethnicity] [female/male], chef"),
        ("Emma (25), freckles", "A [age] [woman/man], freckles"),
        ("a chef, late fifties, short hair", "a [age] chef, short hair"),
        # names after a word for a person
        ("Queen Guinevere", "[queen/king]"),
        ("Liam and his dog", "A [woman/man] and [her/his] dog"),
        ("Princess Aurora dancing", "[princess/prince] dancing"),
        # a noun that no list holds ends at what it does, owns or is joined to
        ("a young zorbist and his dog", "a [age] zorbist and [her/his] dog"),
        ("a Chinese zorbist treating a patient", "a [ethnicity] zorbist treating a patient"),
        ("a Chinese zorbist pouring wine", "a [ethnicity] zorbist pouring wine"),
        ("a Chinese zorbist's glass", "a [ethnicity] zorbist's glass"),
        ("an old sommelier and his wine", "a [age] sommelier and [her/his] wine"),
        ("an old scout with a map", "a [age] scout with a map"),
        # some of them
        ("a black nurse and a white one", "a [ethnicity] nurse and a [ethnicity of person 2] one"),
        ("a young nurse and two old ones", "a [age] nurse and two [age of person 2] ones"),
        ("two nurses, one black, one white",
         "two nurses, one [ethnicity], one [ethnicity of person 2]"),
        ("two nurses, one is black and the other is white",
         "two nurses, one is [ethnicity] and the other is [ethnicity of person 2]"),
        ("two nurses at a table, one black", "two nurses at a table, one [ethnicity]"),
        ("a nurse and a cook, one black", "a nurse and a cook, one [ethnicity]"),
        ("a nurse holding two cups, one black", "a nurse holding two cups, one black"),
        ("skin color: black, a nurse", "skin color: [ethnicity], a nurse"),
        ("a Chinese zorbist happily singing", "a [ethnicity] zorbist happily singing"),
        ("a half Dane girl", "a [age] [ethnicity] [woman/man]"),
        ("race: black, sex: female", "race: [ethnicity], sex: [female/male]"),
        # numbers after a pronoun
        ("a man in his 1950s suit", "a [woman/man] in [her/his] 1950s suit"),
        ("a woman holding her 1st prize", "a [woman/man] holding [her/his] 1st prize"),
        ("a portrait of her, 2", "a portrait of [her/him], 2"),
        # peoples
        ("an old North American man", "a [age] [ethnicity] [woman/man]"),
        ("the Scotsmen and a Norseman", "the [ethnicity] [women/men] and a [woman/man]"),
        ("a Spaniard dancing flamenco", "a [ethnicity] person dancing"),
        ("a young Swede's house", "a [age] [ethnicity] person's house"),
        ("an old Pole with a hat", "a [age] [ethnicity] person with a hat"),
        ("two Poles dancing", "two [ethnicity] people dancing"),
        # comparisons
        ("a man older than his wife", "a [woman/man] older than [her/his] [wife/husband]"),
        ("a man older than the hills", "a [age] [woman/man]"),
        ("the youngest of three brothers", "one of three [sisters/brothers]"),
        ("an old-school rapper", "an old-school rapper"),
        ("an old master painting of a woman", "an old master painting of a [woman/man]"),
        # foreign and rare words for persons, and what they wear
        ("a Parisienne with a baguette", "a [ethnicity] [woman/man] with a baguette"),
        ("a coiffeuse and a castrato", "a [female/male] hairdresser and a [female/male] singer"),
        ("a busboy carrying plates", "a [age] [female/male] restaurant worker carrying plates"),
        ("an Indian woman in a churidar", "a [ethnicity] [woman/man] in a traditional garment"),
        ("a baby with a pacifier", "a [age] person with a toy"),
        ("a woman with eyelash extensions", "a [woman/man]"),
        # weights
        ("(asian:1.3) woman", "([ethnicity]:1.3) [woman/man]"),
    ],
)  # fmt: skip
def test_a_prompt_and_its_masked_text(prompt: str, masked: str) -> None:
    assert transform(prompt).skeleton.masked_text == masked


@pytest.mark.parametrize(
    "prompt",
    [
        "a castle on a hill, golden hour, 8 k",
        "a king size bed and god rays",
        "two dogs and a bee",
        "a human reflection in the water",
        "a baby elephant next to an old car",
        "an astronaut riding a horse",
        "the lord of the rings, a cowboy hat, a manhole",
        "an old town with a black door",
        "a black and a white cat, crushed blacks",
        "a baby elephant beside its mother",
        "a mother duck, she leads her ducklings",
        "a baby bottle in a car, baby clothes",
        "baby bears playing, a woman-sized door",
        "two cats, they are black",
        "an Italian cooked dish, jet-black hair",
        "a white marble bust, art by Maria",
        "a white rose, a black felt hat, old leaves",
        "unreal engine, Ray Tracing, 8k. Summer evening",
        "tokyo, late 80s, a cute robot, white",
        "paris as seen by claude monet, german shepherds",
        "an old house stands on a hill",
        "a Japanese drinking glass, a white drinking fountain, an old reading lamp",
        "a white tiger, baby carrots, a granny square, a lady bug",
        "a Spanish villa, iso 50, 16:9",
        "a stage with one black and one white chair",
        "two dogs, one black and one white",
        "a black cat and a white one",
        "an old lamp and a chair, an old reading lamp",
        "a telephone pole, a flag Pole, the North Pole, A Pole Dancer",
        "a north american desert",
    ],
)
def test_a_prompt_without_attributes_has_one_candidate(prompt: str) -> None:
    assert transform(prompt).skeleton.n == 1


@pytest.mark.parametrize(
    ("prompt", "public"),
    [
        ("A bear and his ears", "A bear and its ears"),
        ("the cat washes herself. She looks at him", "the cat washes itself. It looks at it"),
        ("a wolf with its mother and its babies", "a wolf with its parent and its babies"),
    ],
)
def test_an_animals_gender_is_left_out(prompt: str, public: str) -> None:
    assert transform(prompt).skeleton.candidates() == (public,)


@pytest.mark.parametrize(
    "prompt",
    ["his dog", "a man and his dog", "a dog and the nurse with her hat", "a family, its mother"],
)
def test_a_person_beside_an_animal_stays_hidden(prompt: str) -> None:
    assert transform(prompt).skeleton.n == 2


@pytest.mark.parametrize(
    ("prompt", "other"),
    [
        ("pin-up girl on a car", "pin-up boy on a car"),
        ("Vault Boy holding a cat", "Vault Girl holding a cat"),
        ("he-man", "she-man"),
        ("lady pepe", "gentleman pepe"),
        ("a queen of 13", "a king of 13"),
        ("a husband of 40", "a wife of 40"),
        ("a 25 year lady", "a 25 year gentleman"),
        ("a witch's hat", "a warlock's hat"),
        ("a doctor (she/her)", "a doctor (he/him)"),
        ("iron lady statue", "iron man statue"),
        ("a delivery boy", "a delivery girl"),
        ("granny knitting", "grandpa knitting"),
        ("a huntress", "a huntsman"),
        ("mans face", "womans face"),
        ("hot chick in jeans", "hot dude in jeans"),
        ("a manlike figure", "a womanlike figure"),
        ("waifu poster", "husbando poster"),
        ("Snow White asleep", "Prince Charming asleep"),
        ("an Anglo-Indian nurse", "an Afro-Cuban nurse"),
        ("a senior with a cat", "a toddler with a cat"),
    ],
)
def test_a_phrase_and_its_partner_have_one_set(prompt: str, other: str) -> None:
    assert transform(prompt).skeleton == transform(other).skeleton


@pytest.mark.parametrize(
    "end", ["", " .", " -", " jean -", " van", " '", " bliss", " . -", " king"]
)
def test_a_text_may_end_inside_a_name(end: str) -> None:
    assert transform("portrait of stephen" + end).skeleton.n == 2


@pytest.mark.parametrize(
    ("prompt", "own"),
    [
        ("a teenage Nigerian girl", "a young african woman"),
        ("an elderly gentleman with his cat", "an old man with his cat"),
        ("a 45 year old french waiter", "a middle-aged european waiter"),
        ("A man gives a woman his laptop", "A man gives a woman his laptop"),
        ("a female king", "a queen"),
        ("an elf wizard, female", "an elf witch, female"),
        ("a Scotsman in a kilt", "a european man in a garment"),
    ],
)
def test_the_choice_is_the_users_own_candidate(prompt: str, own: str) -> None:
    hidden = transform(prompt)
    assert own_candidate(hidden) == own
    assert own_words_of(hidden.choice) == prompt


def test_articles_fit_every_value() -> None:
    assert set(transform("a young woman").skeleton.candidates()) == {
        f"{article} {age} {noun}"
        for article, age in (("a", "young"), ("a", "middle-aged"), ("an", "old"))
        for noun in ("woman", "man")
    }
    assert "a european actress" in transform("an italian actor").skeleton.candidates()


def test_candidates_are_in_canonical_order() -> None:
    skeleton = transform("an old asian man").skeleton
    assert skeleton.attributes == ("gender", "age", "ethnicity")
    assert skeleton.candidates()[0] == "a young caucasian woman"
    assert skeleton.candidates()[1] == "a young african woman"
    assert skeleton.candidates()[-1] == "an old european man"


def test_over_the_cap_the_last_slots_become_neutral() -> None:
    prompt = "a young asian woman and an old african man with his dog, she has a hat"
    skeleton = transform(prompt).skeleton
    assert skeleton.n == 30
    assert "person with" in skeleton.masked_text
    assert "they have a hat" in skeleton.masked_text


def test_a_block_is_closed_and_says_what_it_tells() -> None:
    skeleton = transform("an old asian man", max_candidates=6).skeleton
    assert (skeleton.n, skeleton.total) == (6, 30)
    assert skeleton.leakage_bits == pytest.approx(2.3219, abs=1e-4)
    for index, candidate in enumerate(skeleton.candidates()):
        again = transform(candidate, max_candidates=6)
        assert again.skeleton == skeleton
        assert index_of(again.choice) == index


def test_fewer_than_two_candidates_are_no_hiding_place() -> None:
    with pytest.raises(InvalidRequest):
        transform("a woman", max_candidates=1)


def test_words_that_may_tell_are_reported() -> None:
    assert transform("a person with bangs in Lagos").skeleton.hints == (
        ("ethnicity", "Lagos"),
        ("gender", "bangs"),
    )
    assert transform("a muscular man").skeleton.hints == (("gender", "muscular"),)
    assert transform("a bald eagle").skeleton.hints == ()


def test_nothing_prints_the_prompt() -> None:
    hidden = transform("a secretive old man", "hidden treasure")
    assert "secret" not in repr(hidden)
    assert "treasure" not in repr(hidden)


@pytest.mark.parametrize(
    ("prompt", "slots"),
    [
        ("a couple, she kisses him", 2),
        ("a man hugging her", 2),
        ("a woman is looking at him", 2),
        ("a man with a dog beside him", 1),
        ("a man holding his hat", 1),
        ("she kisses him, and he laughs", 3),  # who laughs is open
    ],
)
def test_whom_something_is_done_to_is_another_person(prompt: str, slots: int) -> None:
    halves = transform(prompt)
    assert len(halves.skeleton.slots) == slots
    assert prompt in halves.skeleton.candidates()
