from obclip.v1 import profile_pb2 as _profile_pb2
from obclip.v1 import tensor_pb2 as _tensor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GenerateRequest(_message.Message):
    __slots__ = ("candidates", "negative_prompt", "seed", "steps", "guidance_scale", "switch_point", "profile", "cloud_unet_digest", "lexicon_version")
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    SWITCH_POINT_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    CLOUD_UNET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LEXICON_VERSION_FIELD_NUMBER: _ClassVar[int]
    candidates: _containers.RepeatedScalarFieldContainer[str]
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    switch_point: int
    profile: _profile_pb2.AccelerationProfile
    cloud_unet_digest: str
    lexicon_version: str
    def __init__(self, candidates: _Optional[_Iterable[str]] = ..., negative_prompt: _Optional[str] = ..., seed: _Optional[int] = ..., steps: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., switch_point: _Optional[int] = ..., profile: _Optional[_Union[_profile_pb2.AccelerationProfile, str]] = ..., cloud_unet_digest: _Optional[str] = ..., lexicon_version: _Optional[str] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("queue_position", "step_progress", "batch", "statistics")
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    STEP_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    queue_position: QueuePosition
    step_progress: StepProgress
    batch: LatentBatch
    statistics: Statistics
    def __init__(self, queue_position: _Optional[_Union[QueuePosition, _Mapping]] = ..., step_progress: _Optional[_Union[StepProgress, _Mapping]] = ..., batch: _Optional[_Union[LatentBatch, _Mapping]] = ..., statistics: _Optional[_Union[Statistics, _Mapping]] = ...) -> None: ...

class QueuePosition(_message.Message):
    __slots__ = ("requests_ahead",)
    REQUESTS_AHEAD_FIELD_NUMBER: _ClassVar[int]
    requests_ahead: int
    def __init__(self, requests_ahead: _Optional[int] = ...) -> None: ...

class StepProgress(_message.Message):
    __slots__ = ("steps_done", "steps_total")
    STEPS_DONE_FIELD_NUMBER: _ClassVar[int]
    STEPS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    steps_done: int
    steps_total: int
    def __init__(self, steps_done: _Optional[int] = ..., steps_total: _Optional[int] = ...) -> None: ...

class LatentBatch(_message.Message):
    __slots__ = ("latents", "previous_x0")
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_X0_FIELD_NUMBER: _ClassVar[int]
    latents: _tensor_pb2.Tensor
    previous_x0: _tensor_pb2.Tensor
    def __init__(self, latents: _Optional[_Union[_tensor_pb2.Tensor, _Mapping]] = ..., previous_x0: _Optional[_Union[_tensor_pb2.Tensor, _Mapping]] = ...) -> None: ...

class Statistics(_message.Message):
    __slots__ = ("server_s", "model_s", "evals", "batch_sizes")
    SERVER_S_FIELD_NUMBER: _ClassVar[int]
    MODEL_S_FIELD_NUMBER: _ClassVar[int]
    EVALS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
    server_s: float
    model_s: float
    evals: float
    batch_sizes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, server_s: _Optional[float] = ..., model_s: _Optional[float] = ..., evals: _Optional[float] = ..., batch_sizes: _Optional[_Iterable[int]] = ...) -> None: ...
