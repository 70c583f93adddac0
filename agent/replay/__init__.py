"""A recorded night gone through again: the same code, with everything from outside answered from the log.

Nothing is trained, asked or handed in, and neither the workspace nor the repository is written. `recording` reads the
night out of the log, `stage` puts a copy of the workspace as it was then, `following` holds what is decided now against
what was decided then, the others stand where runs, boards, papers, clock and models would be. Called by
`agent run --replay`.
"""
