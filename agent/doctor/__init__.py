"""What `agent doctor` checks, one module for each group of checks.

`checkup` puts them in order, `findings` is what each one says. Nothing here changes the log, the registry or the
repository, and nothing is left behind.
"""
