"""Leaderboards: fetch a board, read it into a snapshot, compare snapshots, say what changed and what it calls for.

Nothing is imported here, so that naming the package loads neither lxml nor httpx.
"""
