# SPDX-License-Identifier: Apache-2.0
"""Triggers that wait in Airflow's triggerer."""
