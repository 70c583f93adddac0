"""Measure and judge: runs, seeds, metrics, the statistics and the promotion gate."""
