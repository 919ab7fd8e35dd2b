"""The embedded demo model family: portraits, captions, and the models trained on them."""
