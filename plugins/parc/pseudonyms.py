"""Pseudonyms, which replace numbers and references in the warehouse.

A pseudonym is the first 16 bytes of HMAC-SHA256(secret, text). Once the key has been rotated, these bytes
are encrypted with an outer key (AES-256, one block, so each pseudonym maps to exactly one other). So the
outer key can be rotated, and everything stored updated, without knowing any number or reference.

A person's identity across channels is the first 8 bytes of the pseudonym. A forgotten person's pseudonym is
replaced by a random surrogate that ends in six zero bytes; a real pseudonym ends so once in 2^48.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self
from uuid import UUID

import numpy as np
import polars as pl
import polars_hash as plh
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from parc.settings import Settings

SURROGATE_END = bytes(6)
SURROGATES = "right({}::text, 12) = '000000000000'"
"""An SQL condition on a column of pseudonyms, to be formatted with its name."""

_TEXT = b"fingerprint of the pseudonym key"  # not a reference or number, so its hash is nobody's pseudonym
_PAIR = np.dtype([("high", ">u8"), ("low", ">u8")])


@dataclass(frozen=True)
class Pseudonyms:
    """Turns texts into pseudonyms: hashes them with `secret`, encrypts with `outer_key` (None: no key
    rotation yet), and replaces those in `forgotten` by their surrogates."""

    secret: bytes = field(repr=False)
    outer_key: bytes | None = field(default=None, repr=False)
    forgotten: Mapping[UUID, UUID] = field(default_factory=dict, repr=False)

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """Use the platform's keys, with nobody forgotten."""
        outer_key = settings.secret_if_any(OUTER_KEY)
        return cls(settings.pseudonym_secret, outer_key.encode() if outer_key else None)

    def forgetting(self, pseudonyms: set[UUID]) -> Self:
        """A copy with a new surrogate for each of these pseudonyms."""
        return replace(self, forgotten={pseudonym: surrogate() for pseudonym in pseudonyms})

    def of(self, text: str) -> UUID:
        """The pseudonym of one text."""
        return UUID(int=pl.select(self.expression(pl.lit(text))).item())

    def expression(self, text: pl.Expr) -> pl.Expr:
        """The pseudonyms of a column of texts, as UInt128."""
        # polars-hash only accepts the expression as part of a concat_str.
        digest = plh.concat_str(pl.lit(""), text).chash.hmac_sha256(key=self.secret.decode())
        found = digest.str.head(32).str.to_integer(base=16, dtype=pl.UInt128)
        if self.outer_key:
            found = found.map_batches(self._encipher, return_dtype=pl.UInt128)
        if self.forgotten:
            found = found.replace(_series(self.forgotten.keys()), _series(self.forgotten.values()))
        return found

    def matching(self, texts: pl.Series, pseudonyms: Collection[UUID]) -> pl.Series:
        """The texts that have one of these pseudonyms."""
        return texts.to_frame("text").filter(self.matches(pl.col("text"), pseudonyms)).to_series()

    def matches(self, text: pl.Expr, pseudonyms: Iterable[UUID]) -> pl.Expr:
        """Whether a text has one of these pseudonyms."""
        return self.expression(text).is_in(_series(pseudonyms).implode())

    def renew(self, pseudonyms: list[UUID], former: Pseudonyms) -> list[UUID]:
        """Convert pseudonyms from the former outer key to this one; surrogates do not change."""
        blocks = b"".join(each.bytes for each in pseudonyms)
        if former.outer_key:
            blocks = _cipher(former.outer_key).decryptor().update(blocks)
        if self.outer_key:
            blocks = _cipher(self.outer_key).encryptor().update(blocks)
        made = (UUID(bytes=blocks[at : at + 16]) for at in range(0, len(blocks), 16))
        return [old if is_surrogate(old) else new for old, new in zip(pseudonyms, made, strict=True)]

    @property
    def fingerprint(self) -> str:
        """A hex digest that distinguishes keys without revealing them."""
        digest = hmac.new(self.secret, _TEXT, hashlib.sha256)
        if self.outer_key:
            digest = hmac.new(self.outer_key, digest.digest(), hashlib.sha256)
        return digest.hexdigest()

    def _encipher(self, pseudonyms: pl.Series) -> pl.Series:
        assert self.outer_key
        value = pl.col("pseudonym")
        halves = pseudonyms.to_frame("pseudonym").select(
            high=(value // 2**64).cast(pl.UInt64).fill_null(0),
            low=value.cast(pl.UInt64, wrap_numerical=True).fill_null(0),
        )
        blocks = np.empty(len(pseudonyms), dtype=_PAIR)
        blocks["high"], blocks["low"] = halves["high"].to_numpy(), halves["low"].to_numpy()
        made = np.frombuffer(_cipher(self.outer_key).encryptor().update(blocks.tobytes()), dtype=_PAIR)
        found = pl.col("high").cast(pl.UInt128) * 2**64 + pl.col("low")
        return (
            pl.DataFrame({half: made[half].astype(np.uint64) for half in ("high", "low")})
            .with_columns(is_there=pseudonyms.is_not_null())
            .select(pl.when("is_there").then(found).alias(pseudonyms.name))
            .to_series()
        )


OUTER_KEY = "pseudonym_outer_key"
"""The name of the outer key's secret."""

NEXT_OUTER_KEY = f"{OUTER_KEY}_next"
"""The name of the secret that a rotation introduces."""


def identity(pseudonym: pl.Expr) -> pl.Expr:
    """The identities of a column of pseudonyms, as Int64."""
    return (pseudonym // 2**64).cast(pl.UInt64).reinterpret(signed=True)


def surrogate() -> UUID:
    """A random replacement for the pseudonym of a forgotten person; nothing leads back to them."""
    return UUID(bytes=secrets.token_bytes(16 - len(SURROGATE_END)) + SURROGATE_END)


def is_surrogate(pseudonym: UUID) -> bool:
    """Whether the pseudonym is that of a forgotten person."""
    return pseudonym.bytes.endswith(SURROGATE_END)


def _series(pseudonyms: Iterable[UUID]) -> pl.Series:
    return pl.Series([each.int for each in pseudonyms], dtype=pl.UInt128)


def _cipher(outer_key: bytes) -> Cipher[modes.ECB]:
    # ECB serves as a permutation of single-block pseudonyms, where equal inputs must stay equal.
    return Cipher(algorithms.AES(hashlib.sha256(outer_key).digest()), modes.ECB())  # noqa: S305
