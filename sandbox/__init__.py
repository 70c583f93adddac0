"""Run one command under limits, away from everything it has no business with, and say how it ended."""
