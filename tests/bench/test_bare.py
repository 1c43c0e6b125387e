"""The bare server is made of parts of its own; were one no longer taken, it would be compared with itself."""

import pytest

from bench import bare
from server import app, serving
from server.graphql import endpoint

PLACES = (
    (app, "PrometheusMetrics"),
    (app, "Engine"),
    (app, "Desk"),
    (endpoint, "HttpEndpoint"),
    (serving, "protocols"),
)


def test_each_part_is_put_where_the_application_finds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [getattr(module, name) for module, name in PLACES]
    for (module, name), part in zip(PLACES, before, strict=True):
        monkeypatch.setattr(module, name, part)  # so that it is put back
    bare.replace_parts()
    after = [getattr(module, name) for module, name in PLACES]
    assert after[:4] == [bare.NoCounters, bare.BareEngine, bare.BareDesk, bare.BareHttp]
    assert after[4] is not before[4]


def test_a_part_that_has_another_name_now_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in PLACES:
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.delattr(app, "Desk")
    with pytest.raises(AssertionError, match=r"server\.app has no Desk any more"):
        bare.replace_parts()
