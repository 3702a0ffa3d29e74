"""Load report of every regressor's checkpoint and parity of every stage: `python -m tests.figures.network_parity`."""

from __future__ import annotations

import torch

from tests import farl_reference as farl
from tests import network_reference as reference


def main() -> None:
    torch.set_num_threads(1)
    for name in ("deca", "emoca", "smirk", "mica"):
        report, stages = reference.parity(name)
        print(report)
        show(name, stages)
    print("FaRL's encoder, all keys loaded")
    show("farl_visual", farl.encoder_parity())
    for name in ("farl_parsing", "farl_alignment"):
        print(f"{name}, all keys loaded; the first of two pictures")
        show(name, farl.head_parity(name, larger=True))


def show(name: str, stages: farl.Worst) -> None:
    print(f"  {'stage':32} {'max|diff|/rms':>14} {'limit':>9}")
    for stage, (error, limit) in stages.items():
        print(f"  {stage:32} {error:14.2e} {limit:9.1e}{'' if error <= limit else '  ABOVE'}")
    left_out = reference.stage_names(name) - set(stages)
    print(f"  {len(stages)} stages" + (f"; not computed: {', '.join(sorted(left_out))}" if left_out else ""))
    print()


if __name__ == "__main__":
    main()
