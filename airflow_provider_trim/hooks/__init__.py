# SPDX-License-Identifier: Apache-2.0
"""The hook: the API, called over an Airflow connection."""
