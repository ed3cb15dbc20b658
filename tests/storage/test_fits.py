"""Fits beside the data they were made from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray

from labnis.storage import LayoutError, RunWriter, read_fits

from .conftest import finished

FIT = {
    "parameters": ["gap", "resistance"],
    "values": [2e-4, 1e4],
    "sigma": [1e-6, 10.0],
    "units": ["eV", "ohm"],
    "covariance": [[1e-12, 0.0], [0.0, 100.0]],
    "chi2": 99.5,
    "dof": 98,
    "model": "labnis.fit.iv",
    "code_version": "abc123",
    "assumed": {"temperature": {"value": 0.1, "unit": "K"}},
    "warnings": ["at a bound: γ"],
}


def test_round_trip_with_further_entries(new_run: Callable[..., RunWriter]) -> None:
    with finished(new_run()) as run:
        run.write_fit("iv", FIT | {"points_used": 100})
    found = read_fits(run.path)["iv"]
    assert found.keys() == FIT.keys() | {"points_used"}
    for key in ("values", "sigma", "covariance"):
        np.testing.assert_array_equal(found[key], FIT[key])
    for key in FIT.keys() - {"values", "sigma", "covariance"}:
        assert found[key] == FIT[key]
    assert found["points_used"] == 100


def test_curves_are_datasets_along_the_first_of_them(new_run: Callable[..., RunWriter]) -> None:
    curves = {
        "voltage": {"unit": "V", "values": [0.0, 1e-4, 2e-4]},
        "temperature": {"unit": "K", "values": [0.09, 0.05, 0.02]},
        "temperature_sigma": {"unit": "K", "values": [1e-3, 1e-3, 2e-3]},
        "power": {"unit": "W", "values": [1e-15, 2e-15, 3e-15]},
    }
    with finished(new_run()) as run:
        run.write_fit("iv", FIT | {"curves": curves})
    found = read_fits(run.path)["iv"]["curves"]
    assert list(found) == list(curves), "in the order of the analysis"
    assert {name: curve["unit"] for name, curve in found.items()} == {n: c["unit"] for n, c in curves.items()}
    for name, curve in curves.items():
        np.testing.assert_array_equal(found[name]["values"], curve["values"])
    with xarray.open_dataset(run.path, group="fit/iv/curves", phony_dims="sort") as opened:
        assert opened["temperature"].dims == ("voltage",)
        assert opened["temperature"].attrs["units"] == "K"


def test_a_later_fit_of_the_same_name_replaces_the_earlier(new_run: Callable[..., RunWriter]) -> None:
    with finished(new_run()) as run:
        run.write_fit("iv", FIT)
        run.write_fit("iv", FIT | {"chi2": 1.0})
        run.write_fit("other", FIT)
        assert read_fits(run.path)["iv"]["chi2"] == 1.0
    assert list(read_fits(run.path)) == ["iv", "other"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": [1.0]}, r"values has shape \(1,\), needed is \(2,\)"),
        ({"covariance": [1.0, 2.0]}, r"covariance has shape \(2,\), needed is \(2, 2\)"),
        ({"chi2": None}, "chi2 cannot be None; numbers are needed"),
        ({"values": ["a", "b"]}, "values cannot be"),
        ({"units": [None, "ohm"]}, "None cannot be the name or unit of a parameter"),
        ({"assumed": {"x": object()}}, "assumed: .*no form in JSON"),
        ({"curves": {"x": {"unit": "V", "values": [1.0]}, "y": {"unit": "K", "values": [1.0, 2.0]}}}, "one length"),
        ({"curves": {"x": {"unit": "V", "values": ["a"]}}}, "curves need `unit` and `values`"),
        ({"curves": {"x": [1.0]}}, "curves need `unit` and `values`"),
    ],
)
def test_a_fit_that_does_not_fit_changes_nothing(
    new_run: Callable[..., RunWriter], change: dict[str, Any], message: str
) -> None:
    with finished(new_run()) as run:
        run.write_fit("iv", FIT)
        with pytest.raises(LayoutError, match=message):
            run.write_fit("iv", FIT | change)
        with pytest.raises(LayoutError, match="lacks sigma"):
            run.write_fit("iv", {key: value for key, value in FIT.items() if key != "sigma"})
        with pytest.raises(LayoutError, match="cannot be stored"):
            run.write_fit("../data", FIT)
    assert read_fits(run.path)["iv"]["chi2"] == 99.5
