"""Rows on their grid: N-D while the run grows, the same from memory and from the file."""

import time

import h5py
import numpy as np
import pytest
import xarray

from labnis.storage import Axis, Column, RowError, RunLayout, RunWriter, dataset_of, open_rows, open_run, recover

from .conftest import finished, metadata

GATES, BIASES = [-1.0, 1.0], [0.0, 0.1, 0.2]
COLUMNS = (
    Column("gate", "V", "Gate"),
    Column("bias", "V", "Bias"),
    Column("current", "A", "Current"),
    Column("quality", "1", "Quality bits", dtype=int),
    Column("s11", "1", "Reflection", axes=("frequency",), dtype=complex),
)
FREQUENCY = Axis("frequency", "Hz", "Frequency", [4e9, 5e9])


def row(point: int, value: float | None = None) -> dict:
    value = float(point) if value is None else value
    gate, bias = GATES[point // 3], BIASES[point % 3]
    trace = np.full(2, value * 1j)
    return {"point": point, "gate": gate, "bias": bias, "current": value, "quality": 0, "s11": trace}


def new_map(folder, **options):
    settings = {"grid": {"gate": GATES, "bias": BIASES}, "axes": [FREQUENCY], "flush_interval": 1000.0}
    return RunWriter(folder, metadata(setpoints=("gate", "bias")), COLUMNS, **settings | options)


def test_map_while_it_grows(tmp_path):
    run = new_map(tmp_path)
    for count in range(7):
        found = open_run(run.path)
        assert dict(found.sizes) == {"gate": 2, "bias": 3, "frequency": 2}
        assert found.attrs["rows"] == count
        assert found.current.dims == ("gate", "bias")
        assert found.s11.dims == ("gate", "bias", "frequency")
        expected = np.where(np.arange(6) < count, np.arange(6), np.nan).reshape(2, 3)
        np.testing.assert_array_equal(found.current, expected)
        np.testing.assert_array_equal(found.s11[..., 1].imag, expected)
        np.testing.assert_array_equal(found.quality, np.where(np.isnan(expected), -1, 0))
        assert found.quality.dtype == np.int64
        assert found.gate.values.tolist() == GATES
        assert found.bias.values.tolist() == BIASES
        assert found.bias.attrs == {"units": "V", "long_name": "Bias"}
        if count < 6:
            run.append(row(count))
            run.flush()
    run.finish("done")
    assert open_run(run.path).current.sel(gate=1.0, bias=0.1) == 4


def test_any_order_and_the_last_of_equal_points_counts(tmp_path):
    with finished(new_map(tmp_path)) as run:
        for point, value in ((5, 50.0), (0, 1.0), (5, 51.0), (3, 30.0), (0, 2.0)):
            run.append(row(point, value))
    assert open_run(run.path).current.values.ravel().tolist() == pytest.approx(
        [2, np.nan, np.nan, 30, np.nan, 51], nan_ok=True
    )
    table = open_rows(run.path)
    assert table.current.dims == ("point",)
    assert table.point.values.tolist() == [5, 0, 5, 3, 0]
    assert table.current.values.tolist() == [50, 1, 51, 30, 2]
    assert table.gate.values.tolist() == [1, -1, 1, 1, -1]
    assert set(table.coords) == {"point", "gate", "bias", "frequency"}
    assert table.current.sel(point=5).values.tolist() == [50, 51]


def test_up_and_down(tmp_path):
    columns = [Column("direction", "1", "Direction", dtype=int), Column("bias", "V", "Bias"), COLUMNS[2]]
    grid = {"direction": [1, -1], "bias": BIASES}
    with finished(RunWriter(tmp_path, metadata(setpoints=()), columns, grid=grid)) as run:
        for count, point in enumerate((0, 1, 2, 5, 4, 3)):
            run.append(
                {
                    "point": point,
                    "direction": grid["direction"][point // 3],
                    "bias": BIASES[point % 3],
                    "current": count,
                }
            )
    found = open_run(run.path)
    assert found.current.dims == ("direction", "bias")
    assert found.direction.dtype == np.int64
    assert found.current.sel(direction=1).values.tolist() == [0, 1, 2]
    assert found.current.sel(direction=-1).values.tolist() == [5, 4, 3]
    with h5py.File(run.path) as file:
        assert list(file["data"].attrs["axes"]) == ["bias"], "a curve, as there is one direction of numbers"


def test_values_that_occur_twice_in_one_axis(tmp_path):
    columns = [Column("bias", "V", "Bias"), COLUMNS[2]]
    biases = [0.0, 0.1, 0.2, 0.1, 0.0]
    with finished(RunWriter(tmp_path, metadata(), columns, grid={"bias": biases})) as run:
        for point, bias in enumerate(biases):
            run.append({"point": point, "bias": bias, "current": point})
    found = open_run(run.path).current
    assert found.bias.values.tolist() == biases
    assert found.sel(bias=0.1).values.tolist() == [1, 3]
    assert found.sel(bias=0.2).values.tolist() in (2, [2])


def test_without_a_grid_values_are_selected_along_point(tmp_path):
    columns = [Column("bias", "V", "Bias"), COLUMNS[2]]
    with finished(RunWriter(tmp_path, metadata(), columns)) as run:
        for value, bias in enumerate((0.2, 0.1, 0.2)):
            run.append({"bias": bias, "current": value})
    found = open_run(run.path).current
    assert found.dims == ("point",)
    assert found.set_xindex("bias").sel(bias=0.2).values.tolist() == [0, 2]
    assert found.where(found.bias == 0.1, drop=True).values.tolist() == [1]


def test_rows_in_memory_give_what_the_file_gives(tmp_path):
    run = new_map(tmp_path, axes=())
    run.add_axis(FREQUENCY)
    rows = [row(point) for point in (4, 1, 4)]
    for one in rows:
        run.append(one)
    run.finish("done")
    columns = {name: np.array([one[name] for one in rows]) for name in rows[0]}
    for layout, read in ((run.layout, open_run), (run.layout.as_rows(), open_rows)):
        made = dataset_of(columns, layout)
        assert made.attrs == {"signal": "current", "rows": 3}
        found = read(run.path)
        found.attrs = made.attrs
        xarray.testing.assert_identical(made, found)


def test_no_rows_yet_and_no_axis_yet(tmp_path):
    run = new_map(tmp_path, axes=())
    found = open_run(run.path)
    assert dict(found.sizes) == {"gate": 2, "bias": 3}
    assert found.current.isnull().all()
    assert open_rows(run.path).sizes["point"] == 0
    assert dataset_of({}, run.layout).sizes == {"gate": 2, "bias": 3}
    run.finish("done")


def test_a_live_fit_gets_its_data_within_a_millisecond():
    layout = RunLayout(
        COLUMNS[1:], grid={"bias": np.arange(61.0)}, axes=[Axis("frequency", "Hz", "f", np.arange(1001.0))]
    )
    columns = {c.name: np.zeros((40, *layout.trace_shape(c)), c.stored) for c in layout.columns}
    columns["point"] = np.arange(40)
    took = []
    for _ in range(50):
        began = time.perf_counter()
        dataset_of(columns, layout)
        took.append(time.perf_counter() - began)
    assert min(took) < 1e-3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"point": 6}, "column 'point': is 6; the grid has the points 0 to 5"),
        ({"point": -1}, "column 'point': is -1"),
        ({"point": 1.0}, "column 'point': int is needed, got float"),
        ({"quality": 0.0}, "column 'quality': int is needed, got float"),
        ({"quality": 2**63}, "column 'quality': .*(too large|int is needed)"),
        ({"quality": np.uint64(2**63)}, "column 'quality': .*too large"),
    ],
)
def test_rows_off_the_grid_are_refused(tmp_path, change, problem):
    with finished(new_map(tmp_path)) as run:
        with pytest.raises(RowError, match=problem):
            run.append(row(0) | change)
        with pytest.raises(RowError, match="column 'point': missing"):
            run.append({name: value for name, value in row(0).items() if name != "point"})
        run.append(row(0))
    assert open_run(run.path).attrs["rows"] == 1


def test_an_interrupted_map_goes_on_with_the_same_grid(tmp_path):
    run = new_map(tmp_path)
    for point in range(4):
        run.append(row(point))
    run.finish("aborted")
    run = RunWriter.resume(recover(run.path))
    assert run.layout.grid["gate"].tolist() == GATES
    with pytest.raises(RowError, match="grid has the points 0 to 5"):
        run.append(row(0) | {"point": 6})
    for point in (3, 4, 5):
        run.append(row(point))
    run.finish("done")
    assert open_run(run.path).current.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert open_run(run.path).attrs["rows"] == 7


def test_nexus_viewers_show_a_map_as_a_scatter_plot(tmp_path):
    nxdata = pytest.importorskip("silx.io.nxdata")
    with finished(new_map(tmp_path)) as run:
        for point in range(4):
            run.append(row(point))
    with h5py.File(run.path) as file:
        found = nxdata.get_default(file)
        assert (found.is_scatter, found.signal.name) == (True, "/entry/data/current")
        assert found.axes_dataset_names == ["bias", "gate"]
        assert file["grid/gate"].attrs["units"] == "V"


def test_a_run_becomes_netcdf(tmp_path):
    with finished(new_map(tmp_path)) as run:
        run.append(row(0))
    for read in (open_run, open_rows):
        read(run.path).to_netcdf(tmp_path / "run.h5", engine="h5netcdf", invalid_netcdf=True)  # for complex numbers
        with xarray.open_dataset(tmp_path / "run.h5", engine="h5netcdf") as back:
            xarray.testing.assert_identical(back.load(), read(run.path))
        real = read(run.path).drop_vars("s11")
        for options in ({"engine": "h5netcdf"}, {}):
            real.to_netcdf(tmp_path / "real.nc", **options)
            with xarray.open_dataset(tmp_path / "real.nc", **options) as back:
                xarray.testing.assert_equal(back.load(), real)
                assert back.attrs["run_id"] == run.run_id
    for group in ({}, {"group": "data"}):
        with xarray.open_dataset(run.path, **group, engine="h5netcdf") as found:
            found.drop_vars("s11").to_netcdf(tmp_path / "again.nc", engine="h5netcdf")
