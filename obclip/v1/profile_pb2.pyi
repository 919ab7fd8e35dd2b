from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class AccelerationProfile(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCELERATION_PROFILE_UNSPECIFIED: _ClassVar[AccelerationProfile]
    ACCELERATION_PROFILE_BARE: _ClassVar[AccelerationProfile]
    ACCELERATION_PROFILE_PAPER: _ClassVar[AccelerationProfile]
    ACCELERATION_PROFILE_BALANCED: _ClassVar[AccelerationProfile]
    ACCELERATION_PROFILE_FAST: _ClassVar[AccelerationProfile]
ACCELERATION_PROFILE_UNSPECIFIED: AccelerationProfile
ACCELERATION_PROFILE_BARE: AccelerationProfile
ACCELERATION_PROFILE_PAPER: AccelerationProfile
ACCELERATION_PROFILE_BALANCED: AccelerationProfile
ACCELERATION_PROFILE_FAST: AccelerationProfile
