"""What tests and benchmarks build their workspaces from."""
