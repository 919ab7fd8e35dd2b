"""The canary checker: which words of a prompt appear where none may."""

# One word of the skeleton, two of the sensitive slots.
CANARIES = ("xylophone", "elderly", "lady")
PROMPT = "a portrait of an elderly lady with a xylophone"


def leaked(text: str) -> list[str]:
    """Returns the canaries that a text shows."""
    return [canary for canary in CANARIES if canary in text.lower()]
