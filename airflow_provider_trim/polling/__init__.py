# SPDX-License-Identifier: Apache-2.0
"""When to ask for which trim."""
