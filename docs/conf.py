"""How Sphinx builds the site (`make docs`): every Markdown page, with no asset from elsewhere."""

project = "PARC"
html_title = "PARC"
extensions = ["myst_parser"]
myst_heading_anchors = 4
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "expectations/README.md"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "260px"}
html_copy_source = False
html_show_sphinx = False
