"""Run one command under limits, away from everything it has no business with, and say how it ended.

Where to look:

- what callers see: `contract` (specification, outcome, the Protocol), `backends` (which one runs here), `specification`
  (a specification that makes no sense), `outputs` and `trees` (taking what a run left)
- what every backend shares: `accounts` (before and after a run), `watching`, `ending` (limits, reasons),
  `capped_log`, `disk_usage`, `hard_disk`, `slots` (user ids, GPUs), `gpus`, `gpu_discovery`, `interpreters`, `seccomp`,
  `diagnosis` (what is contained, by trying)
- runs with a supervisor each: `supervised` (the caller's side), `supervisors` and `fork_server` (starting one),
  `supervisor` (inside it), `hosts`, `cgroups`, `processes`, `markers` (what a killed one leaves)
- `bubblewrap`, with `bwrap_arguments`; `namespaces`, with `launcher`, `private_root`, `landlock`, `kernel_calls`
- containers: `docker_engine` and the other `docker_*`
"""
