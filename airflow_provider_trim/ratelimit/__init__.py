# SPDX-License-Identifier: Apache-2.0
"""Keeps each account within its quota.

Each call needs a permit of the account's :class:`~airflow_provider_trim.ratelimit.limiter.RateLimiter`. A permit passes
the cooldown (the pause after a 429) and the window (the count of recent calls), which is kept in this process or in
Redis. The fair share plays no part in that: it says how many permits a polling policy can plan with.
"""
