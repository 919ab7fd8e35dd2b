"""Limits of what is sent."""

# The largest set of candidates unless the user says otherwise: gender, age and ethnicity of one
# person.
DEFAULT_MAX_CANDIDATES = 30
