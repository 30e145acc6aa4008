# SPDX-License-Identifier: Apache-2.0
"""Sphinx: `make docs`."""

import importlib.metadata
import os
import tempfile

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-provider-trim-docs-"))  # which it writes to

import airflow_provider_trim

project = "airflow-provider-trim"
copyright = "the authors of airflow-provider-trim; Apache License 2.0"
release = version = airflow_provider_trim.__version__
addresses = dict(line.split(", ", 1) for line in importlib.metadata.metadata(project).get_all("Project-URL", []))

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.graphviz", "sphinx_design"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

nitpicky = True
# Other projects' inventories need a network.
nitpick_ignore_regex = [("py:.*", r"(?!airflow_provider_trim\b).*")]
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88

graphviz_output_format = "svg"

html_theme = "furo"
html_theme_options = {"source_repository": addresses["Source"], "source_branch": "main", "source_directory": "docs/"}
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", addresses["Documentation"])
html_title = f"{project} {version}"
html_copy_source = False
html_show_sphinx = False


def setup(app):
    """Show a model's fields without its constructor, which repeats them with pydantic's validators."""

    def signature(_app, what, name, _obj, _options, arguments, _returns):
        is_model = what == "class" and name.startswith("airflow_provider_trim.vod.models.")
        return ("", None) if is_model and arguments else None

    app.connect("autodoc-process-signature", signature)
