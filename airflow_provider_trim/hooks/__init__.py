# SPDX-License-Identifier: Apache-2.0
"""The hook: a connection, and the API spoken over it."""
