# SPDX-License-Identifier: Apache-2.0
"""The connection in use: its session, its signatures, and the calls made with it."""
