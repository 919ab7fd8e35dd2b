import pytest

MOCK, REAL = "mock", "real"


@pytest.fixture(params=[MOCK, pytest.param(REAL, marks=pytest.mark.triton)])
def triton_url(request: pytest.FixtureRequest) -> str:
    """One of both, serving the tiny bundle."""
    if request.param == MOCK:
        return str(request.getfixturevalue("mock_triton").url)
    return str(request.getfixturevalue("real_triton_url"))
