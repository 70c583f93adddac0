"""Files of a repository that say which code is installed, by name.

Read by `experiments.runner` (the lock files go into the record of an environment) and by `tools.patches` (a patch that
touches one changes the environment and not only the code).
"""

from __future__ import annotations

LOCK_FILES = (
    *("requirements*.txt", "requirements*.lock", "constraints*.txt", "pylock*.toml"),
    *("uv.lock", "poetry.lock", "pdm.lock", "pipfile.lock", "pixi.lock", "conda-lock.yml", "conda-lock.yaml"),
    *("environment.yml", "environment.yaml", "cargo.lock", "go.sum", "renv.lock"),
    *("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml"),
)
"""Names, in lower case, of files that fix versions."""
DEPENDENCY_FILES = (
    *LOCK_FILES,
    *("*.lock", "pyproject.toml", "setup.py", "setup.cfg", "pipfile", "pixi.toml"),
    *("cargo.toml", "go.mod", "package.json"),
)
"""The same, and those that ask for packages."""
