from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.delivery.errors import ProtocolError
from vigil.delivery.hl7.acknowledgement import LARGEST_BLOCK, Acknowledgement, BlockReader, parse_acknowledgement

ACCEPTED = b"MSH|^~\\&|EHR|HOSP|VIGIL|HOSP|20261122||ACK^R01^ACK|1|P|2.5.1\rMSA|AA|V1\r"


def framed(*blocks: bytes) -> bytes:
    return b"".join(b"\x0b" + block + b"\x1c\x0d" for block in blocks)


def test_an_acknowledgement_is_read() -> None:
    assert parse_acknowledgement(ACCEPTED) == Acknowledgement("AA", "", "V1", own_id="1")


@pytest.mark.parametrize("ending", [b"\r", b"\n", b"\r\n"])
def test_segment_ends_of_careless_receivers_are_read(ending: bytes) -> None:
    assert parse_acknowledgement(ACCEPTED.replace(b"\r", ending)).control_id == "V1"


def test_other_delimiters_are_taken_from_the_message() -> None:
    assert parse_acknowledgement(ACCEPTED.replace(b"|", b"#")).code == "AA"


@pytest.mark.parametrize("code", ["AA", "AE", "AR", "CA", "CE", "CR"])
def test_every_code_of_the_table_is_known(code: str) -> None:
    acknowledgement = parse_acknowledgement(ACCEPTED.replace(b"AA", code.encode()))
    assert acknowledgement.code == code
    assert acknowledgement.accepted is (code in ("AA", "CA"))
    assert acknowledgement.rejected is (code in ("AR", "CR"))


def test_the_text_is_of_msa_or_else_of_err() -> None:
    assert parse_acknowledgement(ACCEPTED.replace(b"V1", b"V1|no such patient")).text == "no such patient"
    with_error = ACCEPTED + b"ERR||PID^1^3|204^Unknown key identifier^HL70357|E\r"
    assert "204^Unknown key identifier" in parse_acknowledgement(with_error).text


@pytest.mark.parametrize("block", [b"", b"HTTP/1.1 400 Bad Request", b"MSH|^~\\&|X\r", ACCEPTED.replace(b"AA", b"OK"), b"\xff"])
def test_what_is_no_acknowledgement_is_a_protocol_error(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_acknowledgement(block)


@given(
    st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\x0b", b"").replace(b"\x1c", b"")), max_size=4),
    st.data(),
)
def test_blocks_are_found_however_the_bytes_arrive(blocks: list[bytes], data: st.DataObject) -> None:
    stream, reader, found = framed(*blocks), BlockReader(), []
    while stream:
        size = data.draw(st.integers(min_value=1, max_value=len(stream)))
        found += reader.feed(stream[:size])
        stream = stream[size:]
    assert found == blocks


def test_noise_between_blocks_is_ignored() -> None:
    assert BlockReader().feed(b"noise" + framed(b"a") + b"\r\n" + framed(b"b")) == [b"a", b"b"]


def test_a_block_without_an_end_is_not_collected_for_ever() -> None:
    reader = BlockReader()
    with pytest.raises(ProtocolError):
        for _ in range(LARGEST_BLOCK // 65536 + 2):
            reader.feed(b"\x0b" + b"x" * 65536)
