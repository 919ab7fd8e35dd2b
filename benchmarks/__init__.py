"""Measurements; every figure in the documentation comes from a command here."""

from obclip import quiet_runtime

quiet_runtime.switch_off()  # before any module below imports ONNX Runtime
