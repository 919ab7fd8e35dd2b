"""What an attacker may guess before any leak: a small model of which values go with which words.

It is a function of the skeleton alone, so it is public, and what it says may be shown and sent.
"""
