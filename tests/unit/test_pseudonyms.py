"""Pseudonyms under an outer key: one to one, however they are made, and none from a former key."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

import polars as pl
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from parc.pseudonyms import Pseudonyms, identity, is_surrogate, surrogate

SECRET = b"a secret of thirty-two characters"
KEYS = st.sampled_from([None, b"one key", b"another key"])
TEXTS = st.lists(
    st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text), min_size=1, max_size=9
)


def column(pseudonyms: Pseudonyms, texts: list[str | None]) -> list[UUID | None]:
    found = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).select(
        pseudonyms.expression(pl.col("text"))
    )
    return [None if value is None else UUID(int=value) for value in found.to_series()]


def test_a_pseudonym_is_the_encrypted_hmac() -> None:
    digest = hmac.digest(SECRET, b"C0042", "sha256")[:16]
    assert Pseudonyms(SECRET).of("C0042") == UUID(bytes=digest)
    key = hashlib.sha256(b"one key").digest()
    enciphered = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(digest)
    assert Pseudonyms(SECRET, b"one key").of("C0042") == UUID(bytes=enciphered)


@given(TEXTS, KEYS, KEYS)
def test_renewed_pseudonyms_match_the_new_key(
    texts: list[str], former: bytes | None, new: bytes | None
) -> None:
    old, renewed = Pseudonyms(SECRET, former), Pseudonyms(SECRET, new)
    held = [old.of(text) for text in texts]
    assert renewed.renew(held, old) == [renewed.of(text) for text in texts]
    assert column(renewed, [*texts, None]) == [*(renewed.of(text) for text in texts), None]
    if former != new:
        assert not set(held) & set(renewed.renew(held, old))
        assert old.fingerprint != renewed.fingerprint


@given(TEXTS, KEYS)
def test_an_identity_is_the_beginning_of_the_pseudonym(texts: list[str], key: bytes | None) -> None:
    pseudonyms = Pseudonyms(SECRET, key)
    frame = pl.DataFrame({"text": texts}).select(key=pseudonyms.expression(pl.col("text")))
    found = frame.select(identity(pl.col("key"))).to_series().to_list()
    assert found == [int.from_bytes(pseudonyms.of(text).bytes[:8], "big", signed=True) for text in texts]


def test_surrogates_of_forgotten_people_survive_a_key_rotation() -> None:
    pseudonyms = Pseudonyms(SECRET, b"one key")
    forgotten = pseudonyms.of("C0042")
    loading = pseudonyms.forgetting({forgotten})
    [first, second, other] = column(loading, ["C0042", "C0042", "C0043"])
    assert first == second and first and is_surrogate(first) and first != forgotten
    assert other == pseudonyms.of("C0043")
    assert pseudonyms.forgetting({forgotten}).of("C0042") != first, "each load has its own"
    assert Pseudonyms(SECRET, b"another key").renew([first], pseudonyms) == [first]
    assert len({surrogate() for _ in range(100)}) == 100


def test_texts_are_found_by_their_pseudonyms() -> None:
    pseudonyms = Pseudonyms(SECRET, b"one key")
    texts = pl.Series(["+33299120001", "+33299120002", None])
    wanted = [pseudonyms.of("+33299120002"), surrogate()]
    assert pseudonyms.matching(texts, wanted).to_list() == ["+33299120002"]
