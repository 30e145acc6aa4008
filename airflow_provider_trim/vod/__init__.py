# SPDX-License-Identifier: Apache-2.0
"""The API itself: no Airflow, no I/O, no clock. Bytes in, values out."""
