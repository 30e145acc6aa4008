# SPDX-License-Identifier: Apache-2.0
"""What Airflow is told about this package. Read at every start of Airflow, so it imports nothing."""

from __future__ import annotations

from typing import Any

_HOST = "https://api.cloudv.haplat.net"

_CONNECTION_FIELDS: dict[str, Any] = {
    "auth": {
        "label": "Authentication scheme",
        "description": "How the front door of the service wants to be convinced. Login and password hold user id and "
        "verification token (token), AccessKey ID and Secret (the hmac schemes), or user name and API key (api-key).",
        "schema": {
            "type": ["string", "null"],
            "enum": ["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"],
            "default": "token",
        },
    },
    "token_header": {
        "label": "Header for the token",
        "description": "Name of a request header that takes the token; empty to send it as a request parameter. "
        "Scheme token only.",
        "schema": {"type": ["string", "null"]},
    },
    "method": {
        "label": "HTTP method",
        "description": "POST, or GET where an installation allows nothing else.",
        "schema": {"type": ["string", "null"], "enum": ["POST", "GET"], "default": "POST"},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "For one call. Without a value: 30.",
        "schema": {"type": ["number", "null"], "minimum": 0, "maximum": 600, "default": 30},
    },
    "verify": {
        "label": "Verify TLS certificate",
        "description": "true, false, or the path of a file of certificate authorities.",
        "schema": {"type": ["string", "null"], "default": "true"},
    },
    "proxy": {
        "label": "Proxy",
        "description": "URL of an HTTP proxy. Without a value, HTTPS_PROXY and NO_PROXY of the environment count.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "allow_http": {
        "label": "Allow plain http",
        "description": "Plain http shows the credentials to the network; without this it is refused, but for loopback.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
    "allow_token_in_url": {
        "label": "Allow the token in the URL",
        "description": "GET with the scheme token puts the token where proxies and servers log it; refused without "
        "this.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
    "quota": {
        "label": "Quota of the account",
        "description": "Calls that the account may make, such as 300/5 minutes, or off.",
        "schema": {"type": ["string", "null"], "default": "300/5 minutes"},
    },
    "quota_storage": {
        "label": "Quota storage",
        "description": "memory:// counts the calls of each process alone; redis://… shares the quota between processes "
        "and hosts.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "api_path": {
        "label": "Path of the interface",
        "description": "Where below the host the interface is served. Without a value: /vod/videoManage.",
        "schema": {"type": ["string", "null"]},
    },
}

CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "trim",
    "hook-class-name": "airflow_provider_trim.hooks.trim.TrimApiHook",
    "hook-name": "Cloud VoD Trim",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"login": "Login (user or AccessKey ID)", "password": "Password (token, secret or API key)"},
        "placeholders": {
            "host": _HOST,
            "login": "userId, AccessKey ID or user name",
            "password": "verification token, AccessKey Secret or API key",
        },
    },
    "conn-fields": _CONNECTION_FIELDS,
}
"""The connection type, as Airflow 3 reads it. The hook derives from it what Airflow 2.11 asks for."""


def get_provider_info() -> dict[str, Any]:
    """Return the provider info (Airflow's ``provider_info.schema.json``)."""
    integration = "Cloud VoD Trim"
    return {
        "package-name": "airflow-provider-trim",
        "name": integration,
        "description": "Waits for trims of the Cloud VoD API (Wangsu, CDNetworks) and hands on what came out.",
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": f"{_HOST}/vod/videoManage/videoClipQuery",
                "tags": ["service"],
            }
        ],
        "connection-types": [CONNECTION_TYPE],
        "hooks": [{"integration-name": integration, "python-modules": ["airflow_provider_trim.hooks.trim"]}],
        "operators": [{"integration-name": integration, "python-modules": ["airflow_provider_trim.operators.trim"]}],
        "sensors": [{"integration-name": integration, "python-modules": ["airflow_provider_trim.sensors.trim"]}],
        "extra-links": ["airflow_provider_trim.links.trim.TrimVideoLink"],
        "triggers": [{"integration-name": integration, "python-modules": ["airflow_provider_trim.triggers.trim"]}],
    }
