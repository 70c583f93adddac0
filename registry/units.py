"""Durations and sizes as people write them. Read by `registry.target` and whoever takes one from a person."""

from __future__ import annotations

import re

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h)\s*$")
_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|TiB)\s*$")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def parse_duration(value: object) -> float:
    """Seconds from `90`, `30s`, `15m` or `2h`; raises ValueError otherwise."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (match := _DURATION.match(value)):
        seconds = float(match[1]) * _SECONDS[match[2]]
    else:
        raise ValueError("a duration such as 90s, 15m or 2h is expected")
    if not 0 < seconds < 1e8:
        raise ValueError("a duration above zero and below three years is expected")
    return seconds


def parse_size(value: object) -> int:
    """Bytes from `512MiB`, `2GiB` or a whole number; raises ValueError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and (match := _SIZE.match(value)) and float(match[1]) > 0:
        return int(float(match[1]) * _BYTES[match[2]])
    raise ValueError("a size such as 512MiB or 2GiB is expected")
