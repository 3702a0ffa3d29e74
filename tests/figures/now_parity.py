"""NoW against its official program, case by case: `python -m tests.figures.now_parity`."""

from __future__ import annotations

import numpy as np

from tests.protocols import now_reference as reference


def main() -> None:
    print(f"{'case':22} {'':2} {'official median/mean':>21} {'ours':>21} {'difference':>17} {'vertex':>8} steps")
    for case in reference.CASES:
        for key in ("nm", "me"):
            official = reference.load(case)
            score = reference.score(case, key)
            ids, distances = score.per_point["face"]
            assert np.array_equal(ids, official["now_mask_ids"])
            median, mean, _ = official[f"now_{key}_stats"]
            a, b = score.values["median"], score.values["mean"]
            worst = np.abs(distances - official[f"now_{key}_distances"]).max()
            steps = f"{score.diagnostics['steps']:.0f} ({len(official[f'now_{key}_trace']) - 1})"
            print(
                f"{case:22} {key} {median:10.6f}/{mean:10.6f} {a:10.6f}/{b:10.6f} {a - median:8.1e}/{b - mean:8.1e} "
                f"{worst:8.1e} {steps}"
            )


if __name__ == "__main__":
    main()
