# SPDX-License-Identifier: Apache-2.0
"""Decides when to poll which trim."""
