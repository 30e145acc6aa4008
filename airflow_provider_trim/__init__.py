# SPDX-License-Identifier: Apache-2.0
"""Airflow provider for trimming videos with the Cloud VoD API of Wangsu and CDNetworks."""

__version__ = "0.1.0"
