from obclip.v1 import profile_pb2 as _profile_pb2
from obclip.v1 import tensor_pb2 as _tensor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServiceCardRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServiceCardResponse(_message.Message):
    __slots__ = ("card",)
    CARD_FIELD_NUMBER: _ClassVar[int]
    card: ServiceCard
    def __init__(self, card: _Optional[_Union[ServiceCard, _Mapping]] = ...) -> None: ...

class ServiceCard(_message.Message):
    __slots__ = ("service_version", "models", "latents", "scheduler", "limits", "profiles", "step_kinds", "distillation")
    SERVICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULER_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    STEP_KINDS_FIELD_NUMBER: _ClassVar[int]
    DISTILLATION_FIELD_NUMBER: _ClassVar[int]
    service_version: str
    models: ModelDigests
    latents: LatentFormat
    scheduler: SchedulerConfig
    limits: Limits
    profiles: _containers.RepeatedScalarFieldContainer[_profile_pb2.AccelerationProfile]
    step_kinds: _containers.RepeatedCompositeFieldContainer[StepKindCost]
    distillation: Distillation
    def __init__(self, service_version: _Optional[str] = ..., models: _Optional[_Union[ModelDigests, _Mapping]] = ..., latents: _Optional[_Union[LatentFormat, _Mapping]] = ..., scheduler: _Optional[_Union[SchedulerConfig, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., profiles: _Optional[_Iterable[_Union[_profile_pb2.AccelerationProfile, str]]] = ..., step_kinds: _Optional[_Iterable[_Union[StepKindCost, _Mapping]]] = ..., distillation: _Optional[_Union[Distillation, _Mapping]] = ...) -> None: ...

class ModelDigests(_message.Message):
    __slots__ = ("family", "cloud_unet", "text_encoder", "tokenizer", "device_unet", "vae_decoder")
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    CLOUD_UNET_FIELD_NUMBER: _ClassVar[int]
    TEXT_ENCODER_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_UNET_FIELD_NUMBER: _ClassVar[int]
    VAE_DECODER_FIELD_NUMBER: _ClassVar[int]
    family: str
    cloud_unet: str
    text_encoder: str
    tokenizer: str
    device_unet: str
    vae_decoder: str
    def __init__(self, family: _Optional[str] = ..., cloud_unet: _Optional[str] = ..., text_encoder: _Optional[str] = ..., tokenizer: _Optional[str] = ..., device_unet: _Optional[str] = ..., vae_decoder: _Optional[str] = ...) -> None: ...

class LatentFormat(_message.Message):
    __slots__ = ("channels", "height", "width", "wire_type")
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    WIRE_TYPE_FIELD_NUMBER: _ClassVar[int]
    channels: int
    height: int
    width: int
    wire_type: _tensor_pb2.TensorType
    def __init__(self, channels: _Optional[int] = ..., height: _Optional[int] = ..., width: _Optional[int] = ..., wire_type: _Optional[_Union[_tensor_pb2.TensorType, str]] = ...) -> None: ...

class SchedulerConfig(_message.Message):
    __slots__ = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type", "timestep_spacing", "steps_offset", "final_sigmas_type")
    NUM_TRAIN_TIMESTEPS_FIELD_NUMBER: _ClassVar[int]
    BETA_START_FIELD_NUMBER: _ClassVar[int]
    BETA_END_FIELD_NUMBER: _ClassVar[int]
    BETA_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTEP_SPACING_FIELD_NUMBER: _ClassVar[int]
    STEPS_OFFSET_FIELD_NUMBER: _ClassVar[int]
    FINAL_SIGMAS_TYPE_FIELD_NUMBER: _ClassVar[int]
    num_train_timesteps: int
    beta_start: float
    beta_end: float
    beta_schedule: str
    prediction_type: str
    timestep_spacing: str
    steps_offset: int
    final_sigmas_type: str
    def __init__(self, num_train_timesteps: _Optional[int] = ..., beta_start: _Optional[float] = ..., beta_end: _Optional[float] = ..., beta_schedule: _Optional[str] = ..., prediction_type: _Optional[str] = ..., timestep_spacing: _Optional[str] = ..., steps_offset: _Optional[int] = ..., final_sigmas_type: _Optional[str] = ...) -> None: ...

class Distillation(_message.Message):
    __slots__ = ("original_steps", "timestep_scaling", "embeds_guidance", "device_steps", "shift")
    ORIGINAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    TIMESTEP_SCALING_FIELD_NUMBER: _ClassVar[int]
    EMBEDS_GUIDANCE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_STEPS_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    original_steps: int
    timestep_scaling: float
    embeds_guidance: bool
    device_steps: int
    shift: int
    def __init__(self, original_steps: _Optional[int] = ..., timestep_scaling: _Optional[float] = ..., embeds_guidance: bool = ..., device_steps: _Optional[int] = ..., shift: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_candidates", "max_prompt_bytes", "max_prompt_tokens", "max_steps", "max_guidance_scale", "max_queue", "request_timeout_s")
    MAX_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_STEPS_FIELD_NUMBER: _ClassVar[int]
    MAX_GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    max_candidates: int
    max_prompt_bytes: int
    max_prompt_tokens: int
    max_steps: int
    max_guidance_scale: float
    max_queue: int
    request_timeout_s: int
    def __init__(self, max_candidates: _Optional[int] = ..., max_prompt_bytes: _Optional[int] = ..., max_prompt_tokens: _Optional[int] = ..., max_steps: _Optional[int] = ..., max_guidance_scale: _Optional[float] = ..., max_queue: _Optional[int] = ..., request_timeout_s: _Optional[int] = ...) -> None: ...

class StepKindCost(_message.Message):
    __slots__ = ("name", "evals", "macs", "evals_per_set", "macs_per_set")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EVALS_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    EVALS_PER_SET_FIELD_NUMBER: _ClassVar[int]
    MACS_PER_SET_FIELD_NUMBER: _ClassVar[int]
    name: str
    evals: float
    macs: int
    evals_per_set: float
    macs_per_set: int
    def __init__(self, name: _Optional[str] = ..., evals: _Optional[float] = ..., macs: _Optional[int] = ..., evals_per_set: _Optional[float] = ..., macs_per_set: _Optional[int] = ...) -> None: ...
