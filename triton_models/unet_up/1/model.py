"""Triton loads this file; the model itself is cloud_service.triton_backend."""

from cloud_service.triton_backend import TritonPythonModel

__all__ = ["TritonPythonModel"]
