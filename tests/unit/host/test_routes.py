from __future__ import annotations

import threading
import time

import pytest
from stand_in import Sdk

from vigil.host.routes import UNAVAILABLE, Reply, Routes

BOUND_S = 20
"""Against a hang; no speed is asserted."""


def unexpected(error: BaseException) -> None:
    raise AssertionError from error


@pytest.fixture
def sdk() -> Sdk:
    return Sdk()


def test_a_handler_gets_the_groups_and_its_reply_is_sent(sdk: Sdk) -> None:
    Routes(sdk, unexpected).add("/x/([a-z]+)", lambda groups: Reply(groups[0].encode(), "text/plain"))

    answer = sdk.ask("/x/abc")
    assert (answer.status, answer.body, answer.media_type) == (200, b"abc", "text/plain")


def test_a_reply_with_another_status_is_sent_with_its_words(sdk: Sdk) -> None:
    Routes(sdk, unexpected).add("/x", lambda _: Reply.json({"missing": ["é"]}, UNAVAILABLE))

    answer = sdk.ask("/x")
    assert (answer.status, answer.json()) == (503, {"missing": ["é"]})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_route_that_is_read_is_not_written(sdk: Sdk, method: str) -> None:
    routes = Routes(sdk, unexpected)
    routes.add("/x", lambda _: pytest.fail("was called"))
    routes.add_fixed("/y", Reply(b""))

    assert [(answer.status, answer.allowed) for answer in (sdk.ask("/x", method), sdk.ask("/y", method))] == [(405, "GET")] * 2


def test_a_handler_that_raises_is_told_to_the_log_and_not_to_the_asker(sdk: Sdk) -> None:
    told: list[BaseException] = []
    routes = Routes(sdk, told.append)

    def broken(_: tuple[str, ...]) -> Reply:
        raise LookupError("Doe^Jane")

    routes.add("/x", broken)
    answer = sdk.ask("/x")

    assert answer.status == 503
    assert b"Doe" not in answer.body
    assert [type(error) for error in told] == [LookupError]


def test_a_handler_that_is_too_slow_is_answered_for(sdk: Sdk) -> None:
    release = threading.Event()
    routes = Routes(sdk, unexpected, answer_within_s=0.1)
    routes.add("/x", lambda _: Reply(b"late") if release.wait(BOUND_S) else Reply(b"never"))
    begun = time.monotonic()
    answer = sdk.ask("/x")

    assert answer.status == 503
    assert "0.1 s" in answer.json()["error"]
    assert time.monotonic() - begun < BOUND_S / 2
    release.set()


def test_slow_handlers_hold_up_neither_the_fixed_answer_nor_for_ever_the_others(sdk: Sdk) -> None:
    release = threading.Event()
    routes = Routes(sdk, unexpected, answer_within_s=0.1, most_at_once=2)
    routes.add_fixed("/live", Reply.json({"live": True}))
    routes.add("/slow", lambda _: Reply(str(release.wait(BOUND_S)).encode()))
    routes.add("/quick", lambda _: Reply(b"quick"))
    for _ in range(2):
        assert sdk.ask("/slow").status == 503

    assert sdk.ask("/live").json() == {"live": True}
    assert "too many" in sdk.ask("/quick").json()["error"]
    release.set()
    deadline = time.monotonic() + BOUND_S
    while sdk.ask("/quick").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_deep_handler_has_more_stack_than_orthancs_thread_gives(sdk: Sdk) -> None:
    def deep(level: int) -> int:
        return max(map(deep, [level - 1])) + 1 if level else 0  # through C at each level

    Routes(sdk, unexpected).add("/x", lambda _: Reply(str(deep(480)).encode()))
    answers: list[bytes] = []
    small = threading.Event()

    def ask() -> None:
        assert small.wait(BOUND_S)
        answers.append(sdk.ask("/x").body)

    asker = threading.Thread(target=ask)
    threading.stack_size(256 * 1024)  # more than Orthanc gives, less than the handler needs
    try:
        asker.start()
    finally:
        threading.stack_size(0)
    small.set()
    asker.join(BOUND_S)

    assert answers == [b"480"]


def test_no_thread_of_a_route_keeps_python_from_ending(sdk: Sdk) -> None:
    release = threading.Event()
    routes = Routes(sdk, unexpected, answer_within_s=0.1)
    routes.add("/x", lambda _: Reply(str(release.wait(BOUND_S)).encode()))
    sdk.ask("/x")
    threads = [thread for thread in threading.enumerate() if thread.name == "vigil-rest"]

    assert threads
    assert all(thread.daemon for thread in threads)
    release.set()


def test_who_waits_when_orthanc_stops_is_answered_at_once_and_who_comes_later_too(sdk: Sdk) -> None:
    release, asked = threading.Event(), threading.Event()
    routes = Routes(sdk, unexpected, answer_within_s=BOUND_S)

    def slow(_: tuple[str, ...]) -> Reply:
        asked.set()
        return Reply(str(release.wait(BOUND_S)).encode())

    routes.add("/x", slow)
    answers: list[int] = []
    asker = threading.Thread(target=lambda: answers.append(sdk.ask("/x").status))
    asker.start()
    assert asked.wait(BOUND_S)
    routes.close()
    asker.join(BOUND_S / 2)
    answers.append(sdk.ask("/x").status)

    assert answers == [503, 503]
    release.set()


def test_what_is_posted_reaches_its_handler_with_body_and_kind(sdk: Sdk) -> None:
    routes = Routes(sdk, unexpected)
    routes.add_written("/x/([a-z]+)", lambda posted: Reply.json([*posted.groups, posted.body.decode(), posted.media_type]),
                       lambda groups: Reply(b"read"))
    routes.add_written("/y", lambda posted: Reply(b"written"))

    assert sdk.ask("/x/abc", "POST", b"by=me", "Application/JSON; charset=utf-8").json() == ["abc", "by=me", "application/json"]
    assert sdk.ask("/x/abc").body == b"read"
    assert [(answer.status, answer.allowed) for answer in (sdk.ask("/x/abc", "PUT"), sdk.ask("/y"))] == [
        (405, "GET,POST"), (405, "POST")]


def test_a_reply_s_headers_are_sent(sdk: Sdk) -> None:
    Routes(sdk, unexpected).add("/x", lambda _: Reply(b"", headers={"Cache-Control": "no-store"}))

    assert sdk.ask("/x").headers == {"Cache-Control": "no-store"}
