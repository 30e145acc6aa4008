# SPDX-License-Identifier: Apache-2.0
"""Which signatures an account has used, in Redis, for the processes that share it: the service refuses one twice.

A call needs no answer from here: whatever goes wrong, the signature counts as new. One that is used twice is refused,
which costs its poll a delay.
"""

from __future__ import annotations

import hashlib

from airflow_provider_trim.ratelimit.storage import RedisStorage, StorageUnavailableError, key_of

SIGNATURE_TTL = 900
"""Seconds for which a signature is remembered. The service knows one for 5 minutes, and takes those of clocks that are
5 minutes off."""

CLAIM = "return redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[1]) and 1 or 0"


class SharedSignatures:
    """The signatures of one account.

    :param storage: where all processes note theirs
    :param account: whose signatures
    """

    def __init__(self, storage: RedisStorage, account: str) -> None:
        self._storage = storage
        self._script = storage.script(CLAIM)
        self._account = account

    def claim(self, signature: str) -> bool:
        """Return whether a signature is new, and note it; may wait for Redis, with a timeout."""
        try:
            return self._storage.call(lambda: self._claim(signature))
        except StorageUnavailableError:
            return True

    async def aclaim(self, signature: str) -> bool:
        """Claim a signature as :meth:`claim` does, without blocking the event loop."""
        try:
            return await self._storage.acall(lambda: self._claim(signature))
        except StorageUnavailableError:
            return True

    def _claim(self, signature: str) -> bool:
        digest = hashlib.blake2b(signature.encode(), digest_size=16).hexdigest()
        return bool(int(self._script([key_of(self._account, f"signature:{digest}")], [SIGNATURE_TTL])))
