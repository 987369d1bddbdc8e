"""The link, the name, and the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.delivery.escalation import page
from vigil.delivery.escalation.errors import LinkInvalid, NameInvalid
from vigil.delivery.escalation.link import PATH, Links
from vigil.delivery.escalation.notice import Notice
from vigil.delivery.escalation.person import staff_name

FOUND = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
LINKS = Links(b"k" * 32, "https://orthanc.example", timedelta(hours=2))
NOTICE = Notice("a1b2c3d4e5f6", 1, FOUND, UTC)


def token(links: Links = LINKS, analysis: str = "a1b2c3") -> str:
    address = links.make(analysis, 0, "mail", FOUND)
    assert address is not None
    assert address.startswith("https://orthanc.example" + PATH)
    return address.rpartition("/")[2]


def test_a_link_says_what_it_was_made_for() -> None:
    claim = LINKS.read(token(), FOUND)
    assert (claim.analysis_id, claim.step, claim.channel) == ("a1b2c3", 0, "mail")
    assert token() == token(), "a message that is sent twice holds one link"
    assert claim.link_id != LINKS.read(token(analysis="other"), FOUND).link_id


def test_it_ends() -> None:
    LINKS.read(token(), FOUND + timedelta(hours=2))
    with pytest.raises(LinkInvalid, match="expired"):
        LINKS.read(token(), FOUND + timedelta(hours=2, seconds=1))


def test_one_of_another_installation_is_none() -> None:
    with pytest.raises(LinkInvalid, match="no link"):
        LINKS.read(token(Links(b"o" * 32, "https://orthanc.example", timedelta(hours=2))), FOUND)


def test_without_an_address_there_is_no_link() -> None:
    assert Links(b"k" * 32, None, timedelta(hours=2)).make("a1b2c3", 0, "mail", FOUND) is None


@given(st.text(alphabet="ABCDEFabcdef0123456789_-", max_size=120))
def test_nothing_that_is_made_up_is_taken(text: str) -> None:
    with pytest.raises(LinkInvalid):
        LINKS.read(text, FOUND)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_bit_of_a_link_can_be_changed(place: int, change: int) -> None:
    whole = token()
    place %= len(whole)
    other = chr(ord("A") + (ord(whole[place]) + change) % 26)
    changed = whole[:place] + other + whole[place + 1:]
    if other == whole[place]:
        return
    try:
        claim = LINKS.read(changed, FOUND)
    except LinkInvalid:
        return
    assert claim == LINKS.read(whole, FOUND), "only bits that base64 leaves unused"


@pytest.mark.parametrize(("text", "name"), [
    ("  Dr.  Jörg   Müller ", "Dr. Jörg Müller"), ("山田 太郎", "山田 太郎"), ("O’Neill-Smith, A.", "O’Neill-Smith, A."),
    ("علي", "علي"),
])
def test_names(text: str, name: str) -> None:
    assert staff_name(text) == name


@pytest.mark.parametrize("text", ["", " ", "x", "..", "12345", "Dr X 0815", "<b>", "a" * 65, "a=b", "=cmd()", "Ann; DROP"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(NameInvalid, match="your own name"):
        staff_name(text)


class _Page(HTMLParser):
    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(body.decode())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_asks_for_a_name_works_on_a_phone_and_loads_nothing() -> None:
    seen = _Page(page.ask(NOTICE))
    tags = dict(seen.tags)
    assert tags["form"] == {"method": "post"}
    assert tags["input"]["name"] == "by"
    assert ("label", {"for": tags["input"]["id"]}) in seen.tags
    assert any(attributes.get("name") == "viewport" for tag, attributes in seen.tags if tag == "meta")
    assert not {"script", "img", "link", "iframe"} & tags.keys()
    assert "default-src 'none'" in page.HEADERS["Content-Security-Policy"]


def test_a_fault_is_told_at_the_field() -> None:
    seen = _Page(page.ask(NOTICE, "Give your own name."))
    field = next(attributes for tag, attributes in seen.tags if tag == "input")
    assert any(attributes.get("id") == field["aria-describedby"] for _, attributes in seen.tags)
    assert "Give your own name." in seen.words


@pytest.mark.parametrize("show", [page.thanks, page.already])
def test_what_others_wrote_stays_text(show: object) -> None:
    notice = Notice("a1b2c3d4e5f6", 1, FOUND, UTC, study_description="<script>alert(1)</script>")
    body = show(notice, "<b>Ann</b>", "12:00")  # type: ignore[operator]
    assert b"<script" not in body
    assert b"<b>Ann" not in body
