"""Files of versions 1 and 2: no `point`, no grid, and `bias` is what the source read back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnis.storage._columns import POINT, Axis, Column, Dtype, RunLayout
from labnis.storage._hdf5 import read_described

__all__ = ["NOTE", "layout_of_version_1", "upgraded"]

NOTE = "from the read-back; commanded values were not recorded"


def layout_of_version_1(data: Any) -> RunLayout:
    """Layout of the group `/data` of version 1, from its datasets."""
    columns: list[Column] = []
    axes: dict[str, Axis] = {}
    names = [str(name) for name in np.atleast_1d(data.attrs["columns"])]
    dimension = next(name for name in names if name in data and data[name].is_scale)
    for name in names:
        if name not in data:  # its axis was not known yet
            continue
        dtype: Dtype = complex if data[name].dtype.kind == "c" else float
        scales = [dim[0].name.rpartition("/")[2] for dim in list(data[name].dims)[1:]]
        columns.append(Column(name, *read_described(data[name]), axes=tuple(scales), dtype=dtype))
        axes |= {scale: Axis(scale, *read_described(data[scale]), data[scale][()]) for scale in scales}
    return RunLayout(
        columns, setpoints=[dimension], signal=str(data.attrs["signal"]), axes=axes.values(), dimension=dimension
    )


def upgraded(columns: dict[str, NDArray[Any]], layout: RunLayout) -> tuple[dict[str, NDArray[Any]], RunLayout]:
    """Columns and layout along `point`, the former row dimension being a set-point; `bias` also as `bias_reading`."""
    declared = list(layout.columns)
    if layout.dimension == "bias" and "bias_reading" not in columns:
        bias = layout.column("bias")
        declared.append(Column("bias_reading", bias.unit, f"{bias.long_name}, read back"))
        columns = {**columns, "bias_reading": columns["bias"]}
    new = RunLayout(
        declared, setpoints=[layout.dimension], signal=layout.signal, axes=layout.axes.values(), dimension=POINT
    )
    return {**columns, POINT: np.arange(len(columns[layout.dimension]))}, new
