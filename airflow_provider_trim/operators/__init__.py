# SPDX-License-Identifier: Apache-2.0
"""Operators that submit trims, wait for them, and return the resulting ``videoInfo``."""
