"""Who may see the pages: the hosts by which the server may be addressed, a token, and reading requests only.

Bokeh checks the origin of web sockets alone, so that a page of another site could read the rest by a name of its own
that leads to this address. Here every route is checked, static files included.
"""

import hmac
from collections.abc import Callable, Mapping
from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from bokeh.server.tornado import BokehTornado
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import GZipContentEncoding, OutputTransform, RequestHandler

__all__ = ["GuardedTornado", "allowed_hosts"]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
UNUSED = ("/autoload.js", "/metadata")
"""Ends of Bokeh's routes for pages of other sites."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        # Bokeh's page has its documents in inline scripts, and makes styles as it draws.
        "script-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


def allowed_hosts(port: int, named: tuple[str, ...] = ()) -> frozenset[str]:
    """What the header Host may be: loopback with the `port`, and each `named` host with it or with its own or none."""
    hosts = {f"{host}:{port}" for host in LOOPBACK} | ({*LOOPBACK} if port == 80 else set())
    return frozenset(hosts | {host.lower() for host in named} | {f"{host.lower()}:{port}" for host in named})


class GuardedTornado(BokehTornado):
    """Bokeh's server, of which every route is guarded.

    Parameters
    ----------
    applications, arguments
        As of BokehTornado.
    hosts
        What the header Host, and the host of the header Origin, may be.
    token
        What requests must prove to know; None for anybody.
    cookie
        Name of the cookie that has the token.

    """

    def __init__(
        self,
        applications: Mapping[str, Any],
        *,
        hosts: frozenset[str],
        token: str | None,
        cookie: str,
        **arguments: Any,
    ) -> None:
        self._hosts = hosts
        self._token = token
        self._cookie = cookie
        transforms = [_ProtectingHeaders, GZipContentEncoding]
        quiet: Callable[[RequestHandler], None] = lambda handler: None  # noqa: E731  # refused requests are no news
        super().__init__(
            dict(applications),
            extra_websocket_origins=sorted(hosts),
            transforms=transforms,
            log_function=quiet,
            include_headers=[],  # a document needs neither, and the cookie is secret
            include_cookies=[],
            **arguments,
        )

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """The handler of a request, or one that refuses it."""
        status = self._refused(request)
        if status is not None:
            return self.get_handler_delegate(request, _Refusal, {"status": status})
        given = request.query_arguments.get("token", [b""])[-1]
        if self._token is not None and self._is_token(given.decode("utf-8", "replace")):
            known = {"token": self._token, "cookie": self._cookie}
            return self.get_handler_delegate(request, _Welcome, known)
        return super().find_handler(request, **kwargs)

    def _refused(self, request: HTTPServerRequest) -> HTTPStatus | None:
        if request.method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED
        if self._is_foreign(request.headers) or request.headers.get("Host", "").lower() not in self._hosts:
            return HTTPStatus.FORBIDDEN
        if request.path.endswith(UNUSED):
            return HTTPStatus.NOT_FOUND
        return None if self._token is None or self._knows_token(request) else HTTPStatus.UNAUTHORIZED

    def _is_foreign(self, headers: HTTPHeaders) -> bool:
        """Whether a page of another site makes the request; a link there may be followed."""
        followed = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == ("navigate", "document")
        if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not followed:
            return True
        try:
            return "Origin" in headers and urlsplit(headers["Origin"]).netloc.lower() not in self._hosts
        except ValueError:
            return True

    def _knows_token(self, request: HTTPServerRequest) -> bool:
        cookie = request.cookies.get(self._cookie)
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = [value.decode("utf-8", "replace") for value in request.query_arguments.get("token", [])[-1:]]
        given += [cookie.value] if cookie is not None else []
        given += [bearer.strip()] if scheme.lower() == "bearer" else []
        return any([self._is_token(text) for text in given])  # noqa: C419  # all, in any case

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), (self._token or "").encode())


class _ProtectingHeaders(OutputTransform):
    """Adds headers to each answer."""

    def __init__(self, request: HTTPServerRequest) -> None:
        """Nothing depends on the request."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers["Content-Security-Policy"] = POLICY
        headers["X-Frame-Options"] = "DENY"
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        del headers["Server"]
        return status_code, headers, chunk


class _Refusal(RequestHandler):
    """Refuses a request in one line."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "DELETE", "PATCH", "PUT", "OPTIONS")

    def initialize(self, status: HTTPStatus) -> None:
        self._status = status

    def prepare(self) -> None:
        self.set_status(self._status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        if self._status is HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", "Bearer")
        self.finish(f"{self._status.value} {self._status.phrase}: {_WHY[self._status]}\n")


_WHY = {
    HTTPStatus.METHOD_NOT_ALLOWED: "the monitor only shows; use GET",
    HTTPStatus.FORBIDDEN: "the monitor was not started with --allow for the host in this address",
    HTTPStatus.NOT_FOUND: "there is no such page",
    HTTPStatus.UNAUTHORIZED: "open the address that `labnis monitor` printed, which has the token",
}


class _Welcome(RequestHandler):
    """Puts the token of the address into a cookie, and leads to the page.

    By a page that the browser follows, not by a redirect: where the address was opened by a link of another site, a
    strict cookie would not be sent after a redirect.
    """

    def initialize(self, token: str, cookie: str) -> None:
        self._token = token
        self._name = cookie

    def get(self) -> None:
        rest = {name: values[-1] for name, values in self.request.query_arguments.items() if name != "token"}
        path = "/" + self.request.path.lstrip("/\\")  # no //host, which is another site
        target = escape(path + (f"?{urlencode(rest)}" if rest else ""))
        self.set_cookie(self._name, self._token, httponly=True, samesite="Strict", expires_days=30)
        self.set_header("Cache-Control", "no-store")
        self.finish(
            f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={target}"><a href="{target}">labnis</a>'
        )

    head = get
