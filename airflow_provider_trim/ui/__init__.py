# SPDX-License-Identifier: Apache-2.0
"""The page "Trims" of Airflow's web UI. No data passes through here: the page asks Airflow's REST API for it."""
