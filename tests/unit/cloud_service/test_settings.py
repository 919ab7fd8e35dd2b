import pytest
from pydantic import ValidationError

from cloud_service.program import serve
from cloud_service.settings import Settings, package_folder
from cloud_service.startup_error import CannotStart
from tests.fakes.tiny_bundle import TinyBundle


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBCLIP_MAX_QUEUE", "3")
    monkeypatch.setenv("OBCLIP_LISTEN", "[::1]:1234")
    settings = Settings()
    assert (settings.max_queue, settings.listen) == (3, "[::1]:1234")


def test_an_option_is_stronger_than_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBCLIP_LISTEN", "[::1]:1234")
    assert Settings(listen="[::1]:1").listen == "[::1]:1"


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValidationError):
        Settings(max_runing=2)


def test_the_bundle_bounds_the_limits(bundle: TinyBundle) -> None:
    limits = Settings(max_steps=999_999).limits(bundle.card)
    assert limits.max_steps == 999
    assert limits.max_prompt_tokens == 40


def test_a_limit_beyond_the_contract_is_named(bundle: TinyBundle) -> None:
    with pytest.raises(CannotStart, match="max_queue is outside"):
        Settings(max_queue=10**6).limits(bundle.card)


def test_a_missing_package_is_named() -> None:
    with pytest.raises(CannotStart, match="the package no_such_package is not installed"):
        package_folder("no_such_package")


def test_the_help_lists_every_setting_without_an_option() -> None:
    text = serve.__doc__ or ""
    assert "OBCLIP_MAX_QUEUE: Requests that may wait; one more is refused. Default: 16" in text
    assert "OBCLIP_LISTEN:" not in text
