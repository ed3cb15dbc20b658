"""The file as other programs see it: plain h5py, NeXus readers, xarray with h5netcdf."""

from collections.abc import Callable

import h5py
import numpy as np
import pytest
import xarray

from labnis.storage import Axis, Column, LayoutError, RunWriter, open_run

from .conftest import COLUMNS, FREQUENCY, finished, metadata, row

New = Callable[..., RunWriter]


def test_path_names_cooldown_day_time_procedure_and_id(new_run: New, tmp_path):
    with finished(new_run(run_id="0badcafe")) as run:
        pass
    assert run.path == (tmp_path / "data/CD12/2026-03-04/151617-ReflectionVsBias-0badcafe.h5").resolve()


def test_same_path_is_never_written_twice(new_run: New):
    with finished(new_run(run_id="0badcafe")) as run:
        run.append(row(1))
    with pytest.raises(Exception, match="cannot be created"):
        new_run(run_id="0badcafe")
    assert open_run(run.path).sizes["point"] == 1


def test_nexus_marks_and_dimension_scales(new_run: New):
    with finished(new_run(signal="s11")) as run:
        run.append(row(1))
    with h5py.File(run.path) as file:
        assert file.attrs["NX_class"] == "NXroot"
        entry = file[file.attrs["default"]]
        assert entry.attrs["NX_class"] == "NXentry"
        data = entry[entry.attrs["default"]]
        assert data == file["data"]
        assert data.attrs["NX_class"] == "NXdata"
        assert data.attrs["signal"] == "s11"
        assert list(data.attrs["axes"]) == ["bias", "frequency"]
        assert data["s11"].dtype == np.complex128
        assert data["s11"].dims[0][0] == data["point"]
        assert data["point"].dtype == np.int64
        assert data["s11"].dims[1][0] == data["frequency"]
        for name, unit in (("bias", "V"), ("current", "A"), ("s11", "1"), ("frequency", "Hz")):
            assert data[name].attrs["units"] == unit
            assert data[name].attrs["long_name"]


@pytest.mark.parametrize("biases", [(), (1.0,), (0.0, 1.0, 2.0), (3.0, 3.0, -1.0, 3.0), (2.0, float("nan"))])
@pytest.mark.parametrize("group", [{}, {"group": "data"}], ids=["file", "group"])
def test_xarray_opens_any_biases(new_run: New, biases, group):
    with finished(new_run()) as run:
        for index, bias in enumerate(biases):
            run.append(row(index, bias))
    with xarray.open_dataset(run.path, **group, engine="h5netcdf") as found:
        assert dict(found.sizes) == {"point": len(biases), "frequency": 7}
        assert set(found.coords) == {"point", "bias", "frequency"}
        np.testing.assert_array_equal(found.point, np.arange(len(biases)))
        np.testing.assert_array_equal(found.bias, biases)
        np.testing.assert_array_equal(found.frequency, FREQUENCY.values)
        np.testing.assert_array_equal(found.current, -np.arange(len(biases)))
        np.testing.assert_array_equal(found.s11[:, 3], np.arange(len(biases)) * (1 + 2j))
        assert found.s11.dims == ("point", "frequency")
        assert found.s11.dtype == np.complex128
        assert found.bias.attrs == {"units": "V", "long_name": "Bias"}
        assert found.frequency.attrs["units"] == "Hz"
    np.testing.assert_array_equal(open_run(run.path).bias, biases)


def test_numbers_survive_exactly(new_run: New):
    values = [np.nan, np.inf, -0.0, 5e-324, 0.1 + 0.2, 1e300]
    trace = np.array([complex(np.pi, value) for value in [*values, 1.0]])
    with finished(new_run()) as run:
        for value in values:
            run.append({"bias": value, "current": value, "s11": trace})
    found = open_run(run.path)
    assert found.current.values.tobytes() == np.array(values).tobytes()
    assert found.s11.values[2].tobytes() == trace.tobytes()


def test_scalar_columns_names_with_units_and_errors(tmp_path):
    columns = [Column("Voltage (V)", "V", "Voltage"), Column("G", "S", "G"), Column("G_errors", "S", "σ of G")]
    with finished(RunWriter(tmp_path, metadata(setpoints=["Voltage (V)"]), columns)) as run:
        run.append({"Voltage (V)": 1, "G": np.float32(2), "G_errors": np.array(0.5)})
    found = open_run(run.path)
    assert list(found.data_vars) == ["G", "G_errors"]
    assert found["G_errors"].item() == 0.5
    assert found["G"].dims == ("point",)
    assert found["Voltage (V)"].dims == ("point",)


def test_trace_of_two_axes_and_real_type(tmp_path):
    column = Column("map", "W/Hz", "Power", axes=("time", "frequency"))
    axes = [Axis("time", "s", "Time", [0, 1, 2]), FREQUENCY]
    block = np.arange(21.0).reshape(3, 7)
    with finished(RunWriter(tmp_path, metadata(), [COLUMNS[0], column], axes=axes)) as run:
        run.append({"bias": 1.0, "map": block})
    found = open_run(run.path)["map"]
    assert found.dims == ("point", "time", "frequency")
    np.testing.assert_array_equal(found[0], block)


def test_axis_known_only_after_the_run_began(new_run: New):
    with finished(new_run(axes=())) as run:
        with pytest.raises(Exception, match=r"row 0, column 's11'.*add_axis"):
            run.append(row(0))
        run.add_axis(FREQUENCY)
        run.append(row(0))
        with pytest.raises(LayoutError, match="already"):
            run.add_axis(FREQUENCY)
        with pytest.raises(LayoutError, match=r"'power'.*frequency"):
            run.add_axis(Axis("power", "W", "Power", [1.0]))
    assert open_run(run.path).sizes == {"point": 1, "frequency": 7}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ([Column("a", "1", "a"), Column("a", "1", "a")], {}, "more than once.*a"),
        ([Column("a", "1", "a"), Column("t", "1", "t", axes=("a",))], {}, "more than once.*a"),
        ([Column("point", "1", "a")], {}, "more than once.*'point' is the row dimension"),
        ([Column("a", "1", "a")], {"grid": {"b": [1]}}, "set-point is 'b'.*columns are point, a"),
        ([Column("a", "1", "a")], {"signal": "b"}, "signal is 'b'.*columns are point, a"),
        ([Column("a", "1", "a", dtype=complex)], {"grid": {"a": [1]}}, "'a' must be a real column"),
        ([Column("a", "1", "a")], {"grid": {"a": [1, np.nan]}}, "grid of 'a': planned values must be finite"),
        ([Column("a", "1", "a")], {"grid": {"a": []}}, "grid of 'a'.*non-empty"),
        ([Column("a", "1", "a", dtype=int)], {"grid": {"a": [0.5]}}, "grid of 'a'.*array of integers"),
    ],
)
def test_impossible_columns_leave_no_file(tmp_path, columns, options, message):
    with pytest.raises(LayoutError, match=message):
        RunWriter(tmp_path, metadata(setpoints=()), columns, **options)
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\0b", "a\nb", "x" * 10_000])
def test_impossible_names(name):
    with pytest.raises(LayoutError, match="cannot be stored"):
        Column(name, "1", "x")
    with pytest.raises(LayoutError, match="cannot be stored"):
        Axis(name, "1", "x", [1.0])


@pytest.mark.parametrize("values", [[], [[1.0]], [1j], ["a"], 3.0])
def test_impossible_axis_values(values):
    with pytest.raises(LayoutError, match="one-dimensional array of real numbers"):
        Axis("frequency", "Hz", "Frequency", values)
