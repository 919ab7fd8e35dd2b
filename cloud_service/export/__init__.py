"""Turns a diffusers pipeline folder into a bundle that runs without torch.

The one place of cloud_service that may import torch; nothing that serves imports it.
"""
