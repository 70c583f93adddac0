"""Web pages and feeds from strangers: what they say, and what they hide. `tools.pages.text` is the entry."""
