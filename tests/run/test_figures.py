"""Figures of runs: the fit's own model, residuals, and the right place for every point."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import matplotlib as mpl
import numpy as np
import pytest
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labnis.accuracy import Budget, Source
from labnis.errors import LabnisWarning, RequestError
from labnis.experiment.events import Event, RowRecorded
from labnis.experiment.run import Run
from labnis.fit import FitContext, fit_reflection
from labnis.fit.analyses import CurrentVoltage, EmittedPower, Reflection
from labnis.ui.drawn_data import FitOfData, fit_of_data, fit_of_run
from labnis.ui.figures import annotate, draw_data, draw_runs
from labnis.ui.live_plot import LivePlot
from procedures import EmittedPowerVsBias, IsothermSweep, IVSweep, ReflectionVsBias
from sim_instruments import SHIPPED_TRUTH, load_truth
from tests.fit import measuring
from tests.run.bench import Watcher, dry_session, write_station
from tests.run.lab_procedures import Averaged, MeanCurrent


@pytest.fixture(scope="module", autouse=True)
def _no_screen() -> None:
    mpl.use("agg")


def curve_of(run: Run, label: str) -> tuple[np.ndarray, np.ndarray]:
    (line,) = [line for line in run.plot().axes[0].lines if line.get_label() == label]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of one curve."""
    folder = tmp_path_factory.mktemp("sweep")
    write_station(folder)
    with dry_session(folder, Watcher()) as session:
        return session.run(IVSweep(points=61))


def test_a_curve_shows_data_model_and_residuals_in_units_of_their_scatter(sweep: Run) -> None:
    run = sweep
    x, y = curve_of(run, "measured")
    np.testing.assert_allclose(x, run.data["device_voltage"] * 1e3)
    np.testing.assert_allclose(y, run.data["current"] * 1e9)
    said = fit_of_run(run)
    x, model = curve_of(run, "fit")
    # At more points than were measured, and at these as well.
    assert said.line is not None
    fine, expected = said.line
    np.testing.assert_allclose(x, fine["device_voltage"] * 1e3, rtol=1e-9)
    np.testing.assert_allclose(model, expected["current"] * 1e9, rtol=1e-9)
    order = np.argsort(run.data["device_voltage"].values)
    at = np.searchsorted(fine["device_voltage"].values, run.data["device_voltage"].values[order])
    np.testing.assert_allclose(expected["current"][at], said.model["current"][order], rtol=1e-6, atol=1e-13)
    residuals = axis_of(run.plot(), "residual / σ").lines[0].get_ydata()
    assert 0.5 < np.std(residuals) < 2


def axis_of(figure: Figure, label: str) -> Axes:
    (axis,) = [axis for axis in figure.axes if axis.get_ylabel() == label]
    return axis


def test_what_is_below_the_gap_is_seen_on_a_logarithmic_scale(sweep: Run) -> None:
    offset = sweep.fits["current_voltage"]["current_offset"].value
    assert offset
    for label, column, zero in (
        ("|Current − offset|\n(nA)", "current", offset),
        ("|Conductance|\n(µS)", "conductance", 0.0),
    ):
        axis = axis_of(sweep.plot(), label)
        assert axis.get_yscale() == "log"
        scale = 1e9 if column == "current" else 1e6
        measured, fit = axis.lines
        np.testing.assert_allclose(measured.get_ydata(), np.abs(sweep.data[column] - zero) * scale, rtol=1e-6)
        expected = np.abs(fit_of_run(sweep).line[1][column] - zero) * scale
        np.testing.assert_allclose(np.sort(fit.get_ydata()), np.sort(expected))
        # The readings, not the depth of the fit, are what the axis shows.
        read = np.asarray(measured.get_ydata())
        assert axis.get_ylim()[0] == pytest.approx(read[read > 0].min() / 2)


def test_any_column_can_be_drawn(sweep: Run) -> None:
    axis = sweep.plot("conductance").axes[0]
    assert axis.get_ylabel() == "Conductance (µS)"
    np.testing.assert_allclose(axis.lines[0].get_ydata(), sweep.data["conductance"] * 1e6)
    with pytest.raises(RequestError, match=r"has no column 'resistance'; it has .*current"):
        sweep.plot("resistance")


def test_what_the_ledger_says_against_a_run_is_in_its_figure(sweep: Run) -> None:
    doubted = sweep.doubted({"current_voltage": ["revoked on 2026-03-04"]})
    assert doubted.doubtful == set(sweep.results)
    part = doubted.plot().subfigs[0].subfigs[0]
    assert "gap ? = " in part.get_suptitle() and "revoked on 2026-03-04" in part.get_suptitle()


def test_the_line_of_a_fit_through_a_few_points_is_a_curve(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(IVSweep(points=25, direction="up-down"))
    x, _ = curve_of(run, "fit")
    assert x.size > 400
    assert (np.diff(x) > 0).all()
    labels = [axis.get_ylabel() for axis in run.plot().axes]
    assert "|Current − offset|\n(nA)" in labels, "a sweep in both directions is a curve, too"


def test_a_figure_says_of_what_it_is(sweep: Run) -> None:
    (part,) = sweep.plot().subfigs
    head = part.get_suptitle()
    assert all(word in head for word in (sweep.run_id, "IVSweep", "nis_device", "dry-run", "SIMULATED"))
    assert f"{sweep.metadata['start']:%Y-%m-%d %H:%M}" in head


def test_a_style_of_a_lab_goes_on_top(sweep: Run, tmp_path: Path) -> None:
    own = tmp_path / "lab.mplstyle"
    own.write_text("axes.facecolor: 123456\n", encoding="utf-8")
    draw_runs([sweep], tmp_path / "f.svg", own)
    assert "#123456" in (tmp_path / "f.svg").read_text(encoding="utf-8")
    draw_runs([sweep], tmp_path / "g.svg")
    assert "#123456" not in (tmp_path / "g.svg").read_text(encoding="utf-8")
    for text, told in (
        (b"\xff\xfe\x00", "is no style file of matplotlib"),
        (b"image.cmap: nope", "nothing can be drawn"),
    ):
        own.write_bytes(text)
        with pytest.raises(RequestError, match=f"lab.mplstyle: {told}"):
            draw_runs([sweep], tmp_path / "i.svg", own)
    with pytest.raises(RequestError, match=r"none.mplstyle: cannot be read: No such file"):
        draw_runs([sweep], tmp_path / "h.svg", tmp_path / "none.mplstyle")


@pytest.mark.parametrize(("procedure", "column"), [(ReflectionVsBias, "s11"), (EmittedPowerVsBias, "spectrum")])
def test_traces_are_drawn_with_their_fit(procedure: Any, column: str, tmp_path: Path) -> None:
    write_station(tmp_path)
    with dry_session(tmp_path, Watcher()) as session:
        session.run(IVSweep(points=31))
        run = session.run(ReflectionVsBias(points=7, frequencies=61))
        if procedure is EmittedPowerVsBias:
            run = session.run(procedure(points=7, frequencies=61))
    drawn = next(axis for axis in run.plot().axes if len(axis.lines) == 6)
    data, model = run.data[column].values, fit_of_run(run).model[column]
    # The first of three: a fifth of the way.
    for line, values in zip(drawn.lines[:2], (data[1], model[1]), strict=True):
        if column == "s11":
            found = line.get_xdata() + 1j * line.get_ydata()
            np.testing.assert_allclose(found, values / model[0], rtol=1e-9)
        else:
            np.testing.assert_allclose(line.get_ydata() / line.get_ydata().max(), values / values.max(), rtol=1e-9)
    bars = [axis for axis in run.plot().axes if axis.get_ylabel() in ("residual / σ", "|residual| / σ")]
    bars = [axis for axis in bars if not axis.lines]
    assert len(bars) == 1, "all residuals, with their scale"
    (values,) = [mesh.get_array() for axis in run.plot().axes[-2:] for mesh in axis.collections if not axis.lines][:1]
    scatter = np.median(np.abs(np.asarray(values))) / (1.1774 if column == "s11" else 0.6745)
    assert scatter == pytest.approx(1, abs=0.15)


def test_doubts_and_both_parts_of_sigma_stand_in_the_figure(sweep: Run) -> None:
    assert "?" not in sweep.plot().subfigs[0].subfigs[0].get_suptitle()
    fit = replace(sweep.fits["current_voltage"], warnings=("the cable is loose", "the fridge is warm"))
    source = Source("gain", "gain", "1", 1e-3, "normal", "sheet", "voltage.gain")
    column = np.where(np.array(fit.names) == "gap", 3e-7, 0.0)[:, None]
    doubted = replace(fit, budget=Budget((source,), column, ()))
    run = replace(sweep, fits={"current_voltage": doubted}, results={"gap": doubted["gap"]})
    figure = Figure()
    annotate(figure, run)
    told = figure.get_suptitle()
    assert told.startswith("gap ? = 21") and "syst. 300 neV" in told
    assert "? the cable is loose (and 1 more, see labnis show)" in told
    assert "gap ? = " in repr(run)


def test_the_curves_of_a_cooling_island_are_drawn_with_their_truth(sweep: Run) -> None:
    run = sweep
    curves = run.curves["current_voltage"]
    assert set(map(str, curves.data_vars)) == {
        f"{name}{kind}" for name in ("electron_temperature", "cooling_power") for kind in ("", "_sigma", "_truth")
    }
    assert float(curves["electron_temperature_sigma"].max()) > 0
    away = abs(curves["electron_temperature"] - curves["electron_temperature_truth"])
    assert bool((away < 5 * curves["electron_temperature_sigma"]).all())
    axes = run.plot().subfigs[0].subfigs[1].axes
    assert [axis.get_ylabel().partition(" (")[0] for axis in axes] == ["electron temperature", "cooling power"]
    assert all([line.get_label() for line in axis.lines] == ["fit ± σ", "truth"] for axis in axes)


def test_readings_that_the_fit_leaves_out_are_marked() -> None:
    voltage, current = measuring.current_voltage(measuring.device(), 1, points=101)
    current[70] += 1e-9
    columns = {"device_voltage": ("bias", voltage), "current": ("bias", current)}
    data = xarray.Dataset(columns, {"bias": voltage}, {"signal": "current"})
    analysis = CurrentVoltage()
    fit = analysis.fit(data, FitContext({"series_resistance": measuring.SERIES_RESISTANCE}), {})
    figure: Any = Figure()
    draw_data(figure, data, fit_of_data([analysis], {analysis.name: fit}, data))
    (marks,) = [line for line in figure.axes[0].lines if line.get_label() == "left out of the fit"]
    assert marks.get_xdata() == pytest.approx([voltage[70]])


def test_spectra_with_bins_that_the_fit_leaves_out_are_marked() -> None:
    truth = measuring.device()
    prior = fit_reflection(measuring.reflection(truth, 1), prior=measuring.fitted_current_voltage(truth))
    spectra = measuring.emission(truth, 1)
    spoilt = spectra.spectrum.copy()
    spoilt[11, 149] *= 10
    power = np.trapezoid(spoilt, spectra.frequency, axis=-1)
    columns = {
        "device_voltage": ("bias", spectra.device_voltage),
        "spectrum": (("bias", "frequency"), spoilt),
        "band_power": ("bias", power),
    }
    coordinates = {"bias": spectra.device_voltage, "frequency": spectra.frequency}
    data = xarray.Dataset(columns, coordinates, {"signal": "band_power"})
    analysis = EmittedPower()
    fit = analysis.fit(data, FitContext(fridge_temperature=spectra.fridge_temperature), {"reflection": prior})
    left_out = analysis.left_out(fit, data)
    assert np.argwhere(left_out["spectrum"]).tolist() == [[11, 149]]
    figure: Any = Figure()
    draw_data(figure, data, fit_of_data([analysis], {analysis.name: fit}, data))
    (marks,) = [line for line in figure.axes[0].lines if line.get_label() == "partly left out of the fit"]
    assert marks.get_xdata() == pytest.approx([spectra.device_voltage[11]])


def test_residuals_are_in_units_of_the_sigma_of_each_reading() -> None:
    """A voltage that scatters by 0.2 µV makes the points at the edge of the gap scatter a hundred times as much."""
    cooler = load_truth(SHIPPED_TRUTH.with_name("micro_cooler.yaml"))
    voltage, current = measuring.current_voltage(cooler, 1, maximum=0.9e-3, points=201)
    noise = 2e-7 * np.random.default_rng(5).standard_normal(voltage.size)
    columns = {"device_voltage": ("bias", voltage + noise), "current": ("bias", current)}
    data = xarray.Dataset(columns, {"bias": voltage}, {"signal": "current"})
    analysis = CurrentVoltage()
    fit = analysis.fit(data, FitContext({"series_resistance": measuring.SERIES_RESISTANCE}), {})
    figure: Any = Figure()
    draw_data(figure, data, fit_of_data([analysis], {analysis.name: fit}, data))
    drawn = axis_of(figure, "residual / σ").lines[0].get_ydata()
    assert np.sqrt(np.mean(drawn**2)) == pytest.approx(1, abs=0.1)
    assert np.abs(drawn).max() < 5


@pytest.mark.parametrize("direction", [1, -1])
def test_data_that_the_fit_leaves_out_are_marked_in_a_map(direction: int) -> None:
    truth = measuring.device()
    prior = {"current_voltage": measuring.fitted_current_voltage(truth)}
    traces = measuring.reflection(truth, 1, biases=15, frequencies=101)
    spoilt = traces.s11.copy()
    spoilt[5, 30] *= 1.3
    spoilt[9, 80] *= 1.3
    biases = np.linspace(0, 2.4e-3, 15)
    columns = {"device_voltage": ("bias", traces.device_voltage), "s11": (("bias", "frequency"), spoilt)}
    coordinates = {"bias": biases, "frequency": traces.frequency}
    data = xarray.Dataset(columns, coordinates, {"signal": "s11"}).isel(bias=slice(None, None, direction))
    analysis = Reflection()
    fit = analysis.fit(data, FitContext(), prior)
    figure: Any = Figure()
    draw_data(figure, data, fit_of_data([analysis], {analysis.name: fit}, data))
    (marks,) = [line for line in figure.axes[0].lines if line.get_label() == "left out of the fit"]
    assert sorted(marks.get_xdata()) == pytest.approx(biases[[5, 9]])
    assert sorted(marks.get_ydata()) == pytest.approx(traces.frequency[[30, 80]])


def test_an_informed_order_is_drawn_in_the_order_of_the_biases(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(IVSweep(points=20, order="information"), until=["gap=1e-7%"])
    commanded, measured = run.data["bias"].values, run.data["bias_reading"].values
    assert np.unique(commanded).size < commanded.size  # some are visited again
    np.testing.assert_allclose(measured, commanded, atol=2e-6)
    assert set(commanded) <= set(IVSweep(points=20).biases())
    x, _ = curve_of(run, "fit")
    assert (np.diff(x) >= 0).all()


@pytest.mark.long
def test_traces_of_an_informed_order_are_drawn_once_at_each_bias(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        session.run(IVSweep(points=31))
        procedure = ReflectionVsBias(points=8, frequencies=41, order="information")
        run = session.run(procedure, until=["damping_line=1e-7%"])
    (mesh,) = run.plot().axes[0].collections
    biases = np.unique(run.data["bias"])
    assert mesh.get_array().shape == (41, biases.size)
    lefts = mesh.get_coordinates()[0, :, 0]
    assert (np.diff(lefts) > 0).all()


def test_a_map_is_drawn_at_its_set_points_whatever_their_order() -> None:
    gates, biases = [2.0, 0.0, 2.0, 1.0], [0.0, 3.0, 1.0]
    current = 10 * np.array([[2.0], [0.0], [4.0], [1.0]]) + biases  # the gate 2 occurs twice: 3 on average
    data = xarray.Dataset({"current": (("gate", "bias"), current)}, {"gate": gates, "bias": biases})
    figure: Any = Figure()
    draw_data(figure, data.assign_attrs(signal="current"))
    (mesh,) = figure.axes[0].collections
    corners = mesh.get_coordinates()
    assert (np.diff(corners[0, :, 0]) > 0).all()
    assert (np.diff(corners[:, 0, 1]) > 0).all()
    np.testing.assert_array_equal(mesh.get_array(), np.add.outer([0.0, 1.0, 3.0], [0.0, 10.0, 30.0]))


@pytest.mark.parametrize("known", [True, False])
def test_a_map_with_a_model_has_its_residuals_below(known: bool) -> None:
    current = np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0, -2.0])
    data = xarray.Dataset({"current": (("gate", "bias"), current)}, {"gate": range(3), "bias": range(4)})
    off = np.random.default_rng(1).standard_normal(current.shape)
    residuals = {"current": 2 * off} if known else {}
    figure: Any = Figure()
    draw_data(figure, data.assign_attrs(signal="current"), FitOfData({"current": current - off}, residuals=residuals))
    _, below = [axis for axis in figure.axes if axis.collections and axis.get_xlabel() == "gate"]
    (mesh,) = below.collections
    scatter = 1.4826 * np.median(np.abs(off - np.median(off)))
    np.testing.assert_allclose(mesh.get_array(), (2 * off if known else off / scatter).T)
    assert mesh.get_clim() == (-5, 5)
    assert f"residual / {'σ' if known else 'scatter'}" in [axis.get_ylabel() for axis in figure.axes]


def test_both_ways_of_a_sweep_are_distinguished(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(IVSweep(points=21, direction="up-down"))
    there, _ = curve_of(run, "measured")
    back, _ = curve_of(run, "measured, reverse")
    assert there.size == back.size == 21


def test_the_power_in_the_band_has_the_fits_own_model(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        for step in (IVSweep(points=31), ReflectionVsBias(points=15, frequencies=101), EmittedPowerVsBias(points=15)):
            run = session.run(step)
    model = fit_of_run(run).model["band_power"]
    scatter = (run.data["band_power"].values - model) / model
    assert np.abs(scatter).max() < 5 / np.sqrt(150e3 * 10)


@pytest.mark.parametrize(
    ("predict", "problem"),
    [
        (lambda *_: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda *_: None, "AttributeError"),
        (lambda *_: {"current": np.zeros(3)}, r"current must be numbers of the shape \(11,\), not float64 of \(3,\)"),
        (lambda *_: {"gap": np.zeros(11)}, "'gap' is no column of the data"),
        (lambda *_: {"current": np.zeros(11, complex)}, "current is a column of real numbers, and complex128 are none"),
        (lambda *_: sys.exit("no"), "SystemExit: no"),
    ],
)
def test_a_failing_prediction_does_not_cost_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predict: Any, problem: str
) -> None:
    monkeypatch.setattr(MeanCurrent, "predict", predict, raising=False)
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(Averaged(points=11))
    with pytest.warns(LabnisWarning, match=f"analysis mean_current: predict fails, its fit is not drawn: .*{problem}"):
        axes = run.plot().axes
    assert [len(axes[0].lines), axes[0].lines[0].get_label()] == [1, "measured"]


class SeldomDrawn(LivePlot):
    """A window that shows every seventh row: drawing takes much longer than a row of a dry run."""

    def __call__(self, event: Event) -> None:
        if not isinstance(event, RowRecorded) or event.rows % 7 == 0:
            super().__call__(event)


def test_a_window_follows_the_run(tmp_path: Path) -> None:
    plot = SeldomDrawn(interval=0.0)
    with dry_session(tmp_path, plot) as session:
        session.run(IVSweep(points=14), until=["gap=1e-7%"])  # with a goal every row of a dry run is fitted
    assert plot.figure is not None
    labels = [axis.get_ylabel() for axis in plot.figure.axes]
    assert labels[0] == "Current (nA)" and "residual / σ" in labels
    assert [axis.get_ylabel()[:20] for axis in plot.figure.axes[-2:]] == ["electron temperature", "cooling power (fW)"]


class StageCurves:
    """Curves at each temperature of the stage, as large as the temperature that the thermometer reads."""

    name = "stage_curves"
    results: ClassVar[Mapping[str, str]] = {"mean": "A"}

    def fit(self, data: xarray.Dataset, _context: Any, _priors: Any, _start: Any) -> dict[str, Any]:
        return {"mean": (float(data["current"].mean()), 1e-12)}

    def curves(self, _fit: Any, data: xarray.Dataset) -> xarray.Dataset:
        read, voltage = data["fridge_temperature"].mean("bias").values, np.linspace(-1e-4, 3e-4, 5)
        both, each = ("stage", "point"), np.tile(voltage, (read.size, 1))
        values = {
            name: (both, np.tile(read[:, None], (1, 5)), {"units": "K"})
            for name in ("electron_temperature", "electron_temperature_sigma")
        }
        return xarray.Dataset(
            values,
            {"device_voltage": (both, each, {"units": "V"}), "fridge_temperature": ("stage", read, {"units": "K"})},
        )


class WithStageCurves(IsothermSweep):
    """Isotherms with an analysis that is made at once."""

    ANALYSES = (StageCurves,)


def test_curves_at_each_temperature_are_in_the_file_and_in_the_figure_with_the_truth(tmp_path: Path) -> None:
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(WithStageCurves(temperatures="0,0.1", points=10))
    curves = run.curves["stage_curves"]
    assert curves["electron_temperature"].dims == ("stage", "point")
    assert curves.coords.keys() == {"fridge_temperature", "device_voltage"}
    read = run.data["fridge_temperature"].mean("bias").values
    np.testing.assert_allclose(curves["electron_temperature"].values[:, 0], read)
    # Electrons of constant temperature follow the stage: T⁵ − T_bath⁵ is constant, 0.11 K at 10 mK.
    cold, warm = curves["electron_temperature_truth"].values
    np.testing.assert_allclose(cold, 0.11, rtol=1e-3)
    np.testing.assert_allclose(warm, (0.11**5 + 0.1**5) ** 0.2, rtol=0.02)
    options: dict[str, Any] = {"group": "fit/stage_curves/curves", "engine": "h5netcdf", "phony_dims": "sort"}
    with xarray.open_dataset(run.path, **options) as stored:
        assert stored["electron_temperature"].dims == ("fridge_temperature", "point")
    panel = run.plot().axes[-1]
    assert [line.get_label() for line in panel.lines].count("truth") == 1
    assert len(panel.lines) == 4


def test_isotherms_are_drawn_together_with_what_is_expected_of_each() -> None:
    stage, bias = np.array([0.0, 0.2]), np.linspace(-1e-3, 1e-3, 11)
    current = xarray.DataArray(
        np.outer([1.0, 2.0], bias * 1e-4), dims=("stage", "bias"), attrs={"units": "A", "long_name": "Current"}
    )
    data = xarray.Dataset(
        {"current": current, "conductance": abs(current)}, {"stage": stage, "bias": bias}, {"signal": "current"}
    )
    figure = Figure()
    draw_data(figure, data, FitOfData({"current": 1.5 * current.values}))
    upper, lower = figure.axes
    assert [line.get_label() for line in upper.lines[::2]] == ["base temperature", "200 mK"]
    for number, (measured, expected) in enumerate(zip(upper.lines[::2], upper.lines[1::2], strict=True)):
        np.testing.assert_allclose(measured.get_ydata(), np.abs(current.values[number]) * 1e9)
        np.testing.assert_allclose(expected.get_ydata(), 1.5 * np.abs(current.values[number]) * 1e9)
    assert len(lower.lines) == 2
