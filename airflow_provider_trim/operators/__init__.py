# SPDX-License-Identifier: Apache-2.0
"""Operators that submit trims and hand on what came out."""
