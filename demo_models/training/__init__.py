"""The recipe that trains the demo family from nothing: `python -m demo_models.training --help`."""
