"""ddh5, the file of plottr: a group `data` with one dataset for each column, of one length, whose `axes` are others."""

import json
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from labnis.experiment.run import Run

__all__ = ["write_ddh5"]


def write_ddh5(run: Run, out: Path, summary: dict[str, Any]) -> list[Path]:
    """Columns along the set-points; traces, with one row for each point and frequency, in a group `traces`."""
    begun = run.metadata["start"]
    stamp = {
        "__creation_time_sec__": begun.timestamp(),
        "__creation_time_str__": time.strftime("%Y-%m-%d %H:%M:%S", begun.timetuple()),
    }
    data = run.data
    scalar = {name: column for name, column in data.data_vars.items() if "frequency" not in column.dims}
    traces = {name: column for name, column in data.data_vars.items() if "frequency" in column.dims}
    with h5py.File(out, "x") as file:
        for group_name, columns in (("data", scalar), ("traces", traces)):
            if not columns:
                continue
            group = file.create_group(group_name)
            group.attrs.update(stamp | {"__labnis__": json.dumps(summary)})
            dims = max((column.dims for column in columns.values()), key=len)
            axes = [str(dim) for dim in dims if dim in data.coords]
            coordinates = {axis: data[axis] for axis in axes}
            for name, column in (coordinates | columns).items():
                sizes = {dim: data.sizes[dim] for dim in dims}
                values = column.expand_dims({d: n for d, n in sizes.items() if d not in column.dims}).transpose(*dims)
                if values.dtype.kind not in "fciub":
                    continue
                dataset = group.create_dataset(
                    str(name), data=np.ascontiguousarray(values.values).ravel(), maxshape=(None,)
                )
                dataset.attrs.update(stamp | {"unit": str(column.attrs.get("units", ""))})
                if name not in axes:
                    dataset.attrs["axes"] = np.array(axes, dtype="S")
    return [out]
