# SPDX-License-Identifier: Apache-2.0
"""Links from Airflow's web UI to what came out."""
