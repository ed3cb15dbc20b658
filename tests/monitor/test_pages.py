"""The pages in a browser: what they show is what is in the files, on a phone and on a wide screen.

Screenshots go to the folder that LABNIS_SCREENSHOTS names, to be looked at.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from labnis.experiment.run import stored_run
from labnis.fit import number_text
from labnis.ledger import NewCalibration, open_ledger
from labnis.storage import ESTIMATE, RunWriter, read_events
from tests.monitor.browser import PROGRAM, BrowserPage, browser
from tests.monitor.serving import Monitor, real_time_run
from tests.monitor.test_reader import EVIL
from tests.storage.conftest import COLUMNS, FREQUENCY, finished, metadata, row

pytestmark = [
    pytest.mark.documentation,
    pytest.mark.timeout(400),
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium: apt-get install chromium"),
]

PHONE, DESK = (390, 844), (1400, 900)
# What a tap on the first point does: it selects it, and the tool acts on what is selected.
TAP = """(() => {
  const models = [...Bokeh.documents[0].all_models];
  const source = models.find(one => one.type === 'ColumnDataSource' && [...one.data.run].includes('00000000'));
  source.selected.indices = [0];
  const tool = models.find(one => one.type === 'TapTool');
  tool.callback.execute(tool, {source});
})()"""

Start = Callable[..., Monitor]
NewPage = Callable[[], BrowserPage]


@pytest.fixture
def new_page() -> Iterator[NewPage]:
    with browser() as opened:
        yield opened


def keep(page: BrowserPage, name: str) -> None:
    if folder := os.environ.get("LABNIS_SCREENSHOTS"):
        page.screenshot(Path(folder) / f"{name}.png")


def check_page(page: BrowserPage, monitor: Monitor) -> None:
    """It fits its screen, has no errors, and asked nobody but the monitor."""
    wide, place = page.value("document.documentElement.scrollWidth - innerWidth"), page.value("location.href")
    assert wide <= 0, f"{place} is {wide} pixels too wide"
    assert not page.errors
    hosts = {urlsplit(address).netloc for address in page.requests if not address.startswith(("data:", "about:"))}
    assert hosts == {f"127.0.0.1:{monitor.port}"}


def test_a_run_in_real_time_before_during_and_after(tmp_path: Path, start: Start, new_page: NewPage) -> None:
    (tmp_path / "data").mkdir()
    monitor = start()
    before = new_page()
    before.open(monitor.address, *PHONE)
    before.wait_for(lambda text: "nothing runs" in text)
    with real_time_run(tmp_path, points=601):
        going = monitor.wait_for(lambda now: now["runs"] and now["runs"][0]["results"])["runs"][0]
        assert going["status"] == "running"
        run = going["run_id"]
        during = new_page()
        during.open(f"{monitor.address}run?id={run}", *DESK)
        text = during.wait_for(lambda text: "live fit of" in text and "T_mxc" in text and run in text)
        assert "SIMULATED" in text
        assert re.search(r"\d+ %", text)
        before.wait_for(lambda text: run in text and "to go" in text)
        during.wait_for(lambda _: during.value("Bokeh.documents[0].all_models.size") > 100)
        keep(before, "phone-during")
        keep(during, "desk-during")
        path = next((tmp_path / "data").glob(f"*/*/*{run}.h5"))
        shown = re.search(r"live fit of (\d+) rows", during.text)
        assert shown is not None
        fits = {event.details["rows"]: event.details for event in read_events(path) if event.kind == ESTIMATE}
        assert int(shown[1]) in fits, "as in the file"
        monitor.wait_for(lambda now: now["runs"][0]["status"] == "done")
    after = new_page()
    after.open(monitor.address, *DESK)
    for page in (before, during, after):
        text = page.wait_for(lambda text: "results" in text)
        for name, estimate in stored_run(path).results.items():
            assert name.replace("_", " ") in text
            assert str(estimate) in text
            assert f"noise {number_text(estimate.statistical, estimate.unit)}" in text or estimate.systematic is None
        check_page(page, monitor)
    keep(before, "phone-after")
    keep(during, "desk-after")


def test_two_runs_at_once_one_of_which_is_killed(tmp_path: Path, start: Start, new_page: NewPage) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "data").mkdir()
    (other / "station.yaml").write_bytes((tmp_path / "station.yaml").read_bytes())
    (other / "truth.yaml").write_bytes((tmp_path / "truth.yaml").read_bytes())
    monitor = start()
    page = new_page()
    page.open(monitor.address, *PHONE)
    shared = f"--data {tmp_path / 'data'}"
    with real_time_run(tmp_path, 4000) as first, real_time_run(other, 4000, more=shared):
        monitor.wait_for(lambda now: sum(one["rows"] > 5 for one in now["runs"]) == 2)
        text = page.wait_for(lambda text: text.count("to go") == 2)
        first.kill()
        first.communicate()
        now = monitor.wait_for(lambda now: {one["status"] for one in now["runs"]} == {"running", "interrupted"})
        killed = next(one for one in now["runs"] if one["status"] == "interrupted")
        text = page.wait_for(lambda text: "interrupted" in text and text.count("to go") == 1)
        assert killed["run_id"] in text
        assert "labnis recover" in text
        keep(page, "phone-killed")
        check_page(page, monitor)


def test_names_are_text(tmp_path: Path, start: Start, new_page: NewPage) -> None:
    evil = f"{EVIL}<img src=x onerror='window.hit = 1'>$$\\href{{javascript:window.hit=1}}{{x}}$$"
    columns = [*COLUMNS[:1], *(type(c)(c.name, c.unit, evil, c.axes, c.dtype) for c in COLUMNS[1:])]
    run = RunWriter(
        tmp_path / "data", metadata(procedure=evil, cooldown=evil), columns, axes=[FREQUENCY], signal="current"
    )
    for number in range(20):
        run.append(row(number))
    value = {"value": 1.0, "sigma": 0.1, "unit": evil}
    run.event(ESTIMATE, evil, rows=20, results={evil: value}, warnings=[evil])
    run.event("<b>warning</b>", evil)
    run.flush()
    ledger = open_ledger(tmp_path / "data" / "ledger.sqlite", device=evil.replace("\n", ""))
    ledger.start_cooldown(evil.replace("\n", ""))
    about = {"run_path": evil, "run_id": "'\"><script>", "model": "m", "code_version": "c", "simulated": False}
    ledger.add_calibrations([NewCalibration(quantity=evil, value=1.0, sigma=0.1, unit="V", warnings=evil, **about)])
    monitor = start()
    for place in ("", f"run?id={run.run_id}", "history"):
        for size in (PHONE, DESK):
            page = new_page()
            page.open(f"{monitor.address}{place}", *size)
            text = page.wait_for(lambda text: "<script>window.hit = 1</script>" in text)
            assert page.value("window.hit") is None
            check_page(page, monitor)
        keep(page, f"evil-{place.partition('?')[0] or 'start'}")
        assert "onerror" in text
    run.finish("done")


def test_a_click_in_the_history_leads_to_the_run(tmp_path: Path, start: Start, new_page: NewPage) -> None:
    ledger = open_ledger(tmp_path / "data" / "ledger.sqlite", device="A7")
    ledger.start_cooldown("CD12")
    about = {"quantity": "gap", "unit": "eV", "run_path": "p", "model": "m", "code_version": "c", "simulated": False}
    values = [(215.1e-6, ""), (215.3e-6, ""), (214.2e-6, "residuals are not random"), (215.2e-6, "")]
    for number, (value, doubt) in enumerate(values):
        numbers = {"value": value, "sigma": 3e-7, "systematic": 2e-7, "warnings": doubt}
        ledger.add_calibrations([NewCalibration(run_id=f"0000000{number}", **numbers, **about)])
    ledger.revoke(4, "the wrong line")
    monitor = start()
    page = new_page()
    page.open(f"{monitor.address}history?quantity=gap", *DESK)
    text = page.wait_for(lambda text: "215.10 ± 0.30 µeV" in text)
    assert "in doubt: residuals are not random" in text
    assert "revoked: the wrong line" in text
    page.wait_for(lambda _: bool(page.value("Bokeh.documents[0].is_idle")))
    keep(page, "history")
    page.value(TAP)
    page.wait_for(lambda text: "there is no run 00000000" in text)
    check_page(page, monitor)


def test_a_page_finds_a_monitor_that_was_started_again(tmp_path: Path, start: Start, new_page: NewPage) -> None:
    (tmp_path / "data").mkdir()
    first = start()
    page = new_page()
    page.open(first.address, *PHONE)
    page.wait_for(lambda text: "nothing runs" in text)
    first.process.terminate()
    first.process.wait()
    with finished(RunWriter(tmp_path / "data", metadata(), COLUMNS, axes=[FREQUENCY])) as run:
        run.append(row(0))
    start(f"--port {first.port}")
    page.value("heard -= 60000")  # as if it had heard nothing for a minute
    page.wait_for(lambda text: run.run_id in text)
