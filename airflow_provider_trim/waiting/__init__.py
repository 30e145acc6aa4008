# SPDX-License-Identifier: Apache-2.0
"""What the sensor and the operators share."""
