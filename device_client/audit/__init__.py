"""Attacks on what the device sends, and the games that measure them. Nothing here sends anything.

The auditor knows both halves of a prompt, which an attacker does not: an attack gets a `View`, and
the game compares its guess with the truth.
"""
