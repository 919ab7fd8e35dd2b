import pytest

from obclip.addresses import is_loopback


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "localhost:1", "[::1]:50051"])
def test_this_machine_alone(address):
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "gpu.example.org:443", "[::]:1"])
def test_the_network(address):
    assert not is_loopback(address)
