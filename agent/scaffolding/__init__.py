"""What `agent init` finds by looking at a repository, and the workspace it makes from that.

`looking` gathers what the modules `scripts`, `folders` and `settings` find in a commit; `answers` joins it with what
a person said; `making` writes the workspace. Nothing of the repository is ever executed or written to.
"""
