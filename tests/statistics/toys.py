"""Tables of scores, written by hand."""

import numpy as np
import pandas as pd


def table(values, subjects, protocol: str = "p", **columns) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(len(values))],
            "subject": subjects,
            **columns,
            "protocol_id": protocol,
            "column": "median",
            "value": values,
            "fallback": np.nan,
        }
    )
