from obclip.v1 import bundle_pb2 as _bundle_pb2
from obclip.v1 import generation_pb2 as _generation_pb2
from obclip.v1 import service_card_pb2 as _service_card_pb2
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor
