"""Load report of every official checkpoint and parity of every stage: `python -m tests.figures.network_parity`."""

from __future__ import annotations

import torch

from tests import farl_reference, kaolrm_reference
from tests import network_reference as reference


def print_stages(stages: dict[str, tuple[float, float]], title: str = "stage") -> None:
    print(f"  {title:32} {'max|diff|/rms':>14} {'limit':>9}")
    for stage, (error, limit) in stages.items():
        print(f"  {stage:32} {error:14.2e} {limit:9.1e}{'' if error <= limit else '  ABOVE'}")


def print_all(name: str, stages: dict[str, tuple[float, float]]) -> None:
    print_stages(stages)
    left_out = reference.stage_names(name) - set(stages)
    print(f"  {len(stages)} stages" + (f"; not computed: {', '.join(sorted(left_out))}" if left_out else ""))
    print()


def print_farl() -> None:
    print("FaRL's encoder, all keys loaded")
    print_all("farl_visual", farl_reference.encoder_parity())
    for name in ("farl_parsing", "farl_alignment"):
        print(f"{name}, all keys loaded; the first of two pictures")
        print_all(name, farl_reference.head_parity(name, larger=True))


def print_kaolrm(name: str) -> None:
    report, values, chained = kaolrm_reference.outputs(name)
    print(report or f"KaoLRM at the reduced size of the reference data ({name})")
    print_stages(kaolrm_reference.compared(name, values))
    print_stages(kaolrm_reference.compared(name, chained), "at our own vertices")
    print(f"  {len(values)} stages of {len(kaolrm_reference.stage_names(name))}")
    print()


def main() -> None:
    torch.set_num_threads(1)
    for name in ("deca", "emoca", "smirk", "mica"):
        report, stages = reference.parity(name)
        print(report)
        print_all(name, stages)
    print_farl()
    for name in kaolrm_reference.NAMES:
        print_kaolrm(name)


if __name__ == "__main__":
    main()
