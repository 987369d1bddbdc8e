"""DICOM over mutual TLS to dcmtk's storescp: what arrives, and the sentence for each way to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from encoded_objects import outgoing, report

from hospital.authority import Authority
from hospital.pacs import Pacs
from vigil.delivery.destination import PacsDestination, TlsFiles
from vigil.delivery.dicom import echo, send
from vigil.delivery.errors import (
    DeliveryError,
    DestinationAborted,
    DestinationInvalid,
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
)

OBJECTS = [outgoing(report())]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pacs(tmp_path: Path, authority: Authority) -> Iterator[Pacs]:
    """storescp that speaks TLS alone, and takes only whom the authority vouches for."""
    certificate, key = authority.issue("pacs")
    options = ("--enable-tls", str(key), str(certificate), "--add-cert-file", str(authority.file), "--require-peer-cert")
    with Pacs(tmp_path / "pacs", options=options) as running:
        yield running


def destination(pacs: Pacs, tls: TlsFiles | None) -> PacsDestination:
    return PacsDestination("main", "127.0.0.1", pacs.port, "PACS", timeout_s=5.0, connect_timeout_s=3.0, tls=tls)


def refused(pacs: Pacs, tls: TlsFiles | None, stop: threading.Event) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        send(destination(pacs, tls), OBJECTS, lambda *_: None, stop)
    assert pacs.objects() == []
    return raised.value


def test_who_shows_the_right_certificate_is_heard(pacs: Pacs, authority: Authority, stop: threading.Event) -> None:
    files = TlsFiles(authority.file, *authority.issue("vigil"))
    assert send(destination(pacs, files), OBJECTS, lambda *_: None, stop).complete
    echo(destination(pacs, files), stop)
    assert len(pacs.objects()) == 1


def test_a_certificate_of_another_authority_is_not_trusted(
    pacs: Pacs, authority: Authority, tmp_path: Path, stop: threading.Event,
) -> None:
    (tmp_path / "stranger").mkdir()
    stranger = Authority(tmp_path / "stranger", "stranger")
    error = refused(pacs, TlsFiles(stranger.file, *authority.issue("vigil")), stop)
    assert isinstance(error, DestinationRefused)
    assert "AuthorityFile" in error.message


def test_another_name_than_the_certificate_s(pacs: Pacs, authority: Authority, stop: threading.Event) -> None:
    files = TlsFiles(authority.file, *authority.issue("vigil"))
    error = refused(pacs, replace(files, server_name="elsewhere.example"), stop)
    assert isinstance(error, DestinationRefused)
    assert "elsewhere.example" in error.message


def test_without_a_certificate_of_ours_it_says_what_may_be_missing(
    pacs: Pacs, authority: Authority, stop: threading.Event,
) -> None:
    assert "asks for a client certificate" in refused(pacs, TlsFiles(authority.file), stop).message


def test_without_tls_nothing_is_sent(pacs: Pacs, stop: threading.Event) -> None:
    assert isinstance(refused(pacs, None, stop), DestinationAborted | DestinationSilent | DestinationUnreachable)


def test_a_receiver_that_speaks_no_tls(tmp_path: Path, authority: Authority, stop: threading.Event) -> None:
    with Pacs(tmp_path / "plain") as plain:
        error = refused(plain, TlsFiles(authority.file), stop)
    assert "TLS" in error.message


def test_a_file_that_is_not_there_is_named_with_its_key(pacs: Pacs, tmp_path: Path, stop: threading.Event) -> None:
    error = refused(pacs, TlsFiles(tmp_path / "none.pem"), stop)
    assert isinstance(error, DestinationInvalid)
    assert f"AuthorityFile ({tmp_path}/none.pem)" in error.message
