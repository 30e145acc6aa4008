# SPDX-License-Identifier: Apache-2.0
"""The trimming interface itself: no Airflow, no I/O, no clock."""
