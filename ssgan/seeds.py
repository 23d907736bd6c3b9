"""Seeds as a pure function of what they are for, so that no draw depends on how many were made before it."""

import hashlib


def derive_seed(*key: int | str) -> int:
    """A 63-bit seed for ``key``, such as ``derive_seed(seed, "latent", step)``; the same on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big") >> 1
