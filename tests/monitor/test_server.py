"""Routes of the monitor: who is answered, and with what. Each test has a server process of its own."""

import json
import re
import signal
import socket
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.monitor.serving import PATIENCE, Monitor
from tests.run.bench import Commands, changed

pytestmark = pytest.mark.usefixtures("data_folder")

Start = Callable[..., Monitor]
HTML = ("/", "/run?id=0", "/history")
PAGES = (*HTML, "/status.json", "/metrics", "/static/js/bokeh.min.js", "/favicon.ico", "/nothing")
OPEN_TO_OTHERS = "--port 0 --allow fridge.lab.example"


@pytest.fixture
def data_folder(tmp_path) -> None:
    (tmp_path / "data").mkdir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(start: Start, number: signal.Signals) -> None:
    monitor = start()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", monitor.address)
    for page in PAGES:
        answer, body = monitor.get(page)
        assert answer.status == (404 if page == "/nothing" else 200), page
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert page not in HTML or not re.search(r"""(?:src|href)=["'](?:https?:)?//""", body), "from elsewhere"
    assert monitor.status()["runs"] == []
    assert "labnis_running 0.0" in monitor.get("/metrics")[1]
    monitor.process.send_signal(number)
    out, err = monitor.process.communicate(timeout=PATIENCE)
    assert (monitor.process.returncode, out, err) == (0, "", "")


def test_no_route_answers_to_other_hosts_origins_or_methods(start: Start) -> None:
    monitor = start()
    host = f"localhost:{monitor.port}"
    for page in PAGES:
        assert monitor.get(page, Host="evil.example")[0].status == 403, page
        assert monitor.get(page, Host=f"evil.example:{monitor.port}")[0].status == 403, page
        assert monitor.get(page, Host="localhost")[0].status == 403, "without the port"
        assert monitor.get(page, Origin="http://evil.example")[0].status == 403, page
        assert monitor.get(page, Host=host, Origin=f"http://{host}")[0].status != 403, page
        assert monitor.get(page, Origin="http://[")[0].status == 403, page
        for site in ("cross-site", "same-site"):  # an image or a frame of another site, which sends no origin
            assert monitor.get(page, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")[0].status == 403, page
            frame = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
            assert monitor.get(page, Sec_Fetch_Site=site, **frame)[0].status == 403, page
            link = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
            assert monitor.get(page, Sec_Fetch_Site=site, **link)[0].status != 403, page
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            assert monitor.get(page, method)[0].status == 405, (method, page)
    assert monitor.get("/autoload.js?bokeh-autoload-element=1")[0].status == 404
    assert monitor.get("/metadata")[0].status == 404
    assert monitor.get("/", "HEAD")[0].status in (200, 405)


def token_of(monitor: Monitor) -> str:
    (token,) = re.findall(r"\?token=([\w-]{30,})$", monitor.address)
    return str(token)


def test_others_need_the_token_on_every_route(start: Start) -> None:
    monitor = start(OPEN_TO_OTHERS)
    host, token = f"fridge.lab.example:{monitor.port}", token_of(monitor)
    assert monitor.address.startswith(f"http://{host}/?token=")
    for page in PAGES:
        assert monitor.get(page, Host=host)[0].status == 401, page
        assert monitor.get(page)[0].status == 401, "also on this computer"
        assert monitor.get(page, Host=host, Authorization=f"Bearer {token[:-1]}")[0].status == 401
        assert monitor.get(page, Host=host, Authorization=f"Bearer {token}")[0].status in (200, 404)
        assert monitor.get(page, Host="evil.example", Authorization=f"Bearer {token}")[0].status == 403


def test_the_token_of_the_address_becomes_a_cookie(start: Start) -> None:
    monitor = start(OPEN_TO_OTHERS)
    host = f"fridge.lab.example:{monitor.port}"
    answer, body = monitor.get(f"/history?quantity=%22%3E%3Cb%3E&token={token_of(monitor)}", Host=host)
    assert answer.status == 200
    assert 'url=/history?quantity=%22%3E%3Cb%3E"' in body, "the page without the token"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    (morsel,) = SimpleCookie(cookie).values()
    assert monitor.get("/", Host=host, Cookie=f"{morsel.key}={morsel.value}")[0].status == 200
    assert monitor.get("/", Host=host, Cookie=f"{morsel.key}=x{morsel.value}")[0].status == 401
    _, body = monitor.get(f"//evil.example/?token={token_of(monitor)}", Host=host)
    assert "url=/evil.example/" in body, "no other host"


def test_web_sockets_are_guarded(start: Start) -> None:
    monitor = start(OPEN_TO_OTHERS)
    token, address = token_of(monitor), f"ws://127.0.0.1:{monitor.port}/ws"
    own, foreign = Origin(f"http://127.0.0.1:{monitor.port}"), Origin("http://evil.example")
    known = {"Authorization": f"Bearer {token}"}
    for origin, headers, status in ((own, {}, 401), (foreign, known, 403)):
        with pytest.raises(InvalidStatus) as refused, connect(
            address, origin=origin, additional_headers=headers, subprotocols=[Subprotocol("bokeh"), Subprotocol("x")]
        ):  # fmt: skip
            pass
        assert refused.value.response.status_code == status


def test_the_token_can_be_that_of_the_environment(start: Start) -> None:
    monitor = start(OPEN_TO_OTHERS, LABNIS_MONITOR_TOKEN="a-token-of-our-own")  # noqa: S106
    assert monitor.address.endswith("?token=a-token-of-our-own")
    assert monitor.get("/metrics", Authorization="Bearer a-token-of-our-own")[0].status == 200


def test_another_address_needs_names_of_hosts(labnis: Commands) -> None:
    answer = labnis("monitor --address 0.0.0.0")
    assert answer.code == 2
    assert "--allow" in answer.err


def test_a_port_in_use_is_named(labnis: Commands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = labnis(f"monitor --port {port}")
    assert answer.code == 2
    assert f"--port {port}: 127.0.0.1 cannot be used: another program listens there" in answer.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--address 192.0.2.1 --allow fridge", "--address 192.0.2.1: it is none of this computer"),
        ("--allow http://fridge.lab", "--allow 'http://fridge.lab': a name or address of a host is needed"),
        ("--allow ''", "--allow '': a name"),
        ("--allow 'evil/<b>x y'", "a name or address of a host is needed"),
    ],
)
def test_what_nobody_can_address_is_refused(words: str, told: str, labnis: Commands) -> None:
    answer = labnis(f"monitor --port 0 {words}")
    assert answer.code == 2
    assert told in answer.err


HANGING = """
import time
from pathlib import Path
from labnis.fit.analyses import CurrentVoltage
from procedures import IVSweep
class Hanging(CurrentVoltage):
    name = "hanging"
    def predict(self, fit, data):
        Path(__file__).with_name("hangs").touch()
        time.sleep(1000)
class Sweep(IVSweep):
    ANALYSES = (Hanging,)
"""


def test_it_ends_also_while_an_analysis_hangs(start: Start, labnis: Commands, tmp_path: Path) -> None:
    (tmp_path / "ourlab").mkdir()
    (tmp_path / "ourlab" / "__init__.py").write_text(HANGING, encoding="utf-8")
    station = (tmp_path / "station.yaml").read_text(encoding="utf-8")
    (tmp_path / "station.yaml").write_text(changed(station, "labnis:\n", "labnis:\n  packages: [ourlab]\n"))
    answer = labnis("run ourlab.Sweep --dry-run --json --set points=21")
    assert answer.code == 0, answer.err
    run = Path(json.loads(answer.out)["runs"][0]).stem.rpartition("-")[2]
    monitor = start()
    assert monitor.get(f"/run?id={run}")[0].status == 200
    monitor.wait_for(lambda found: (tmp_path / "ourlab" / "hangs").exists())
    monitor.process.send_signal(signal.SIGTERM)
    assert monitor.process.wait(timeout=PATIENCE) == 0


def test_a_data_folder_that_is_not_there_is_told_on_the_page(start: Start) -> None:
    monitor = start("--port 0 --data nowhere")
    assert any("no such folder" in problem for problem in monitor.status()["problems"])


def test_a_short_token_is_refused(labnis: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABNIS_MONITOR_TOKEN", "secret")
    answer = labnis("monitor --allow fridge.lab.example")
    assert answer.code == 2
    assert "at least 16" in answer.err
