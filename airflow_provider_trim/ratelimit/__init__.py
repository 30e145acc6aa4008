# SPDX-License-Identifier: Apache-2.0
"""Keeps the account's quota."""
