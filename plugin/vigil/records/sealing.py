"""Sealing: what identifies a patient lies in the ledger only encrypted (law 9).

AES-256-GCM (NIST SP 800-38D) over the compressed value. The id of the row is authenticated with it, so a value that is moved
to another row does not open there. A sealed value is: ``VGS1``, key id (8 bytes), nonce (12 bytes), ciphertext with its tag.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vigil.records.errors import SealBroken

MAGIC = b"VGS1"
KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12
HEADER_BYTES = len(MAGIC) + KEY_ID_BYTES


class Sealer:
    """Seals and opens with one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise SealBroken(f"a sealing key has {KEY_BYTES} bytes, this one has {len(key)}; restore sealing.key from a backup")
        self._key = key
        self._cipher = AESGCM(key)
        self._key_id = hashlib.sha256(b"vigil key id" + key).digest()[:KEY_ID_BYTES]

    @classmethod
    def open(cls, key_file: Path) -> Sealer:
        """With the key in ``key_file``, which is made (mode 0600) where it is absent. Raises :class:`SealBroken`."""
        try:
            if not key_file.exists():
                _make_key(key_file)
            key = key_file.read_bytes()
        except OSError as error:
            raise SealBroken(f"the sealing key {key_file} cannot be read or made: {error.strerror}") from error
        return cls(key)

    @property
    def key_id(self) -> str:
        """Names the key without giving it away: 16 hexadecimal characters."""
        return self._key_id.hex()

    def derive(self, purpose: str) -> bytes:
        """A key of its own for another purpose (HKDF, RFC 5869), 32 bytes: one that is given away gives no other away."""
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"vigil {purpose}".encode()).derive(self._key)

    def seal(self, value: bytes, row: str) -> bytes:
        header = MAGIC + self._key_id
        nonce = secrets.token_bytes(NONCE_BYTES)
        return header + nonce + self._cipher.encrypt(nonce, zlib.compress(value, level=1), header + row.encode())

    def unseal(self, sealed: bytes, row: str) -> bytes:
        """Raises :class:`SealBroken` where the value was changed, cut, moved from another row or sealed with another key."""
        header, nonce = sealed[:HEADER_BYTES], sealed[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
        if len(sealed) < HEADER_BYTES + NONCE_BYTES or not header.startswith(MAGIC):
            raise SealBroken(f"the sealed value of {row} is damaged; restore the ledger from a backup")
        if header[len(MAGIC) :] != self._key_id:
            raise SealBroken(
                f"the value of {row} is sealed with key {header[len(MAGIC):].hex()}, the key at hand is {self.key_id}; restore "
                "the sealing.key that belongs to this ledger")
        try:
            return zlib.decompress(
                self._cipher.decrypt(nonce, sealed[HEADER_BYTES + NONCE_BYTES :], header + row.encode()))
        except (InvalidTag, zlib.error) as error:
            raise SealBroken(f"the sealed value of {row} was changed or belongs to another row; restore the ledger from a "
                             "backup") from error


def _make_key(key_file: Path) -> None:
    """Makes the key whole or not at all, and once: the link fails where another process was first."""
    draft = key_file.with_name(f".{key_file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, key_file)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    sync_folder(key_file.parent)


def remove_drafts(key_file: Path) -> None:
    """What a kill left of a key that was never used."""
    for draft in key_file.parent.glob(f".{key_file.name}.*"):
        draft.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Names that were given or taken in a folder outlive a loss of power."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
