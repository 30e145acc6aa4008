# SPDX-License-Identifier: Apache-2.0
"""Thin: send one request, return status, headers and bytes."""
