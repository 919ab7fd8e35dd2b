import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from obclip.guidance import guide

UNCONDITIONAL = np.linspace(-2, 2, 12, dtype=np.float32).reshape(1, 3, 2, 2)
CONDITIONAL = UNCONDITIONAL[:, ::-1] ** 2


def test_scale_one_is_the_conditional_output_and_zero_the_unconditional():
    np.testing.assert_allclose(guide(UNCONDITIONAL, CONDITIONAL, 1), CONDITIONAL, rtol=1e-6)
    np.testing.assert_array_equal(guide(UNCONDITIONAL, CONDITIONAL, 0), UNCONDITIONAL)


def test_equal_outputs_are_left_alone_by_any_scale():
    np.testing.assert_array_equal(guide(CONDITIONAL, CONDITIONAL, 7.5), CONDITIONAL)


@given(scale=st.floats(0, 20))
def test_the_result_is_linear_in_the_scale_and_stays_float32(scale):
    guided = guide(UNCONDITIONAL, CONDITIONAL, scale)
    expected = (1 - scale) * UNCONDITIONAL.astype(float) + scale * CONDITIONAL
    assert guided.dtype == np.float32
    np.testing.assert_allclose(guided, expected, rtol=1e-5, atol=1e-4)


def test_one_unconditional_output_serves_all_candidates():
    many = np.concatenate([CONDITIONAL, CONDITIONAL + 1])
    guided = guide(UNCONDITIONAL, many, 7.5)
    np.testing.assert_array_equal(guided[:1], guide(UNCONDITIONAL, CONDITIONAL, 7.5))
    assert guided.shape == many.shape
