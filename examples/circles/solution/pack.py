"""Pack 26 circles into the unit square so that the sum of their radii is large.

    python pack.py --config configs/production.json --out model

Leaves `packing.json`. Nothing here is random: the same configuration gives the same packing, bit for bit.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import layouts
from tighten import Circles, as_json, tightened

COUNT = 26


def pack(settings: dict) -> Circles:
    """The packing that the settings describe."""
    layout = settings["layout"]
    centres = layouts.LAYOUTS[layout["kind"]](COUNT, layout["columns"], layout["margin"])
    radii = layouts.RADII[settings["radii"]["kind"]](centres)
    return tightened(centres, radii)


def main() -> None:
    parser = argparse.ArgumentParser(description="Pack circles into the unit square.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder that packing.json is written to")
    options = parser.parse_args()
    circles = pack(json.loads(options.config.read_text(encoding="utf-8")))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "packing.json").write_text(as_json(circles), encoding="utf-8")
    print(f"sum of radii, as packed: {sum(radius for _, _, radius in circles) / 10**15:.6f}")


if __name__ == "__main__":
    main()
