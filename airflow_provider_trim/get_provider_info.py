# SPDX-License-Identifier: Apache-2.0
"""The provider's metadata. Airflow reads it at every start, so it imports nothing."""

from __future__ import annotations

from typing import Any

_HOST = "https://api.cloudv.haplat.net"

# In the form's order: what most accounts need comes first, what few installations need last.
_CONNECTION_FIELDS: dict[str, Any] = {
    "auth": {
        "label": "Authentication scheme",
        "description": "Kind of the account's credentials.",
        "schema": {
            "type": ["string", "null"],
            "enum": ["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"],
            "values_display": {
                "token": "token: user ID and verification token",
                "ws3-hmac-sha256": "ws3-hmac-sha256: AccessKey ID and Secret, signed for api.cloudv.haplat.net",
                "cnc-hmac-sha256": "cnc-hmac-sha256: AccessKey ID and Secret, signed for api.cdnetworks.com",
                "api-key": "api-key: user name and API key, for api.cdnetworks.com",
            },
            "default": "token",
        },
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "For one call, at most 600. Empty: 30.",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 600, "default": 30},
    },
    "quota": {
        "label": "Quota of the account",
        "description": "Calls per time that the account may make, such as 300/5 minutes, or off. Empty: 300/5 minutes.",
        "schema": {"type": ["string", "null"], "examples": ["300/5 minutes", "off"], "default": "300/5 minutes"},
    },
    "quota_storage": {
        "label": "Quota storage",
        "description": "Where calls are counted: redis://:password@redis.example.com:6379/0 shares the quota between "
        "processes and hosts. Hidden, as it may hold a password. Empty: memory://, each process alone.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "callback_listen": {
        "label": "Callbacks: listen on",
        "description": "Address and port on which each triggerer listens for the service's callbacks, such as "
        "0.0.0.0:8790. Empty: callbacks disabled.",
        "schema": {"type": ["string", "null"]},
    },
    "callback_url": {
        "label": "Callbacks: public URL",
        "description": "Base URL at which the service reaches that address, such as "
        "https://airflow.example.com/trims; TrimVideoOperator submits it. Empty: callbacks disabled.",
        "schema": {"type": ["string", "null"]},
    },
    "callback_poll_factor": {
        "label": "Callbacks: poll interval multiplier",
        "description": "While a callback is expected, a trim is polled at its interval times this number, and at least "
        "once an hour, in case the callback is lost. Empty: 60.",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 100000, "default": 60},
    },
    "verify": {
        "label": "Verify TLS certificate",
        "description": "true, false, or the path of a file of certificate authorities. Empty: true.",
        "schema": {"type": ["string", "null"], "examples": ["true", "false"], "default": "true"},
    },
    "proxy": {
        "label": "Proxy",
        "description": "URL of a proxy, such as http://proxy.example.com:3128. Hidden, as it may hold a password. "
        "Empty: taken from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "method": {
        "label": "HTTP method",
        "description": "POST, or GET where an installation allows nothing else.",
        "schema": {"type": ["string", "null"], "enum": ["POST", "GET"], "default": "POST"},
    },
    "token_header": {
        "label": "Token header",
        "description": "Scheme token only: the name of a request header that takes the token, such as X-Token. "
        "Empty: the token is a request parameter.",
        "schema": {"type": ["string", "null"]},
    },
    "api_path": {
        "label": "API path",
        "description": "Path of the API on the host. Empty: /vod/videoManage.",
        "schema": {"type": ["string", "null"]},
    },
    "parameters": {
        "label": "Further parameters",
        "description": 'JSON object of parameters that each call has as well, such as {"format": "json"}; no secrets. '
        "Empty: none.",
        "schema": {"type": ["string", "null"]},
    },
    "allow_http": {
        "label": "Allow plain http",
        "description": "Plain http exposes the credentials to the network. Off: allowed for loopback addresses only.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
    # Without a default: Airflow's form masks that of every field with "token" in its name, and the mask switches it on.
    "allow_token_in_url": {
        "label": "Allow the token in the URL",
        "description": "GET with the scheme token puts the token into the URL, which proxies and servers log. "
        "Off: such connections are refused.",
        "schema": {"type": ["boolean", "null"]},
    },
}

CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "trim",
    "hook-class-name": "airflow_provider_trim.hooks.trim.TrimApiHook",
    "hook-name": "Cloud VoD Trim",
    "ui-field-behaviour": {
        # A port is never needed, but Airflow 3.3.1 and 3.3.2 test no connection without one (apache/airflow#73298).
        "hidden-fields": ["schema", "extra"],
        "relabeling": {
            "host": "Host or base URL",
            "login": "User or AccessKey ID",
            "password": "Token, Secret or API key",
        },
        "placeholders": {
            "host": _HOST,
            "port": "443",
            "login": "user ID, AccessKey ID or user name",
            "password": "verification token, AccessKey Secret or API key",
            # Those of extras are shown by Airflow 2.11 alone.
            "token_header": "X-Token",
            "timeout": "30",
            "verify": "true",
            "proxy": "http://proxy.example.com:3128",
            "quota": "300/5 minutes",
            "quota_storage": "memory://",
            "api_path": "/vod/videoManage",
            "parameters": '{"format": "json"}',
            "callback_listen": "0.0.0.0:8790",
            "callback_url": "https://airflow.example.com/trims",
            "callback_poll_factor": "60",
        },
    },
    "conn-fields": _CONNECTION_FIELDS,
}
"""The connection type, as Airflow 3 reads it. The hook derives from it what Airflow 2.11 needs."""


_UI_PAGE: dict[str, Any] = {
    "description": "Whether the api-server (Airflow 3.1 and later) shows the page Trims in the menu Browse.",
    "version_added": "0.1.0",
    "type": "boolean",
    "example": None,
    "default": "True",
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider info (Airflow's ``provider_info.schema.json``)."""
    integration = "Cloud VoD Trim"
    return {
        "package-name": "airflow-provider-trim",
        "name": integration,
        "description": "Waits for trims of the Cloud VoD API (Wangsu, CDNetworks) and returns their video info.",
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
        "config": {"trim": {"description": "The Cloud VoD Trim provider.", "options": {"ui_page": _UI_PAGE}}},
    }
