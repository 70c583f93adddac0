"""The outside world, one module a system: leaderboards, papers, git, pull requests. Values in, records out."""
