"""Generated from protos/obclip/v1 by `make proto`; do not edit."""
