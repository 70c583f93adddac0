"""Decides what to do next: the graph, its nodes, the researcher, the answers and the command line."""
