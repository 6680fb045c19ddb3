"""Sphinx configuration."""

from annofree import __version__

project = "annofree"
author = "annofree developers"
release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
# Notebooks are committed as they were executed; tests/test_example.py executes them again.
nb_execution_mode = "off"
html_theme = "furo"
html_static_path = ["_static"]
html_title = "annofree"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
