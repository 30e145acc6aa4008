# SPDX-License-Identifier: Apache-2.0
"""Ways to a service, and the one outcome of each in both clients: names, addresses, TLS, proxies, the environment."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from tests.support.proxies import TunnelProxy
from tests.support.servers import BareServer, RawServer

RESPONSE = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1; Path=/\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True, slots=True)
class Route:
    """A way to a service, and what becomes of a request. In texts, names in braces stand for ports and files.

    :param name: row of the table
    :param host: of the connection
    :param error: beginning of the message after ``request to … failed:``; None where there is a response
    :param sees: what the peers receive, in lower case; *sni* is the name that TLS was asked for
    :param extra: of the connection
    :param environment: of the process
    :param status: of the response
    :param addresses: peers that the name ``two.example`` leads to; none for an unknown name
    """

    name: str
    host: str = "https://localhost:{tls}"
    error: str | None = None
    sees: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    addresses: tuple[str, ...] | None = None


def _refusing(name: str, peer: str, error: str) -> Route:
    return Route(name, "https://trim.invalid", error, extra={"proxy": f"u:geheim@127.0.0.1:{{{peer}}}"})


CA = {"verify": "{ca}"}
TUNNEL = ("connect localhost:{tls} http/1.1", "sni: localhost")
BASIC = "proxy-authorization: basic "
UNTRUSTED = "certificate verification failed: unable to get local issuer certificate (set the connection's 'verify'"
CONNECT = "CONNECT was answered with HTTP status"
SOCKS = "SOCKS proxies are not supported; name an HTTP proxy such as http://proxy.example.com:3128"
LOOKUP = "host name lookup failed: Name or service not known (check the "
FORMS = {"host and port": "{}", "a URL": "http://{}", "a URL in capitals": "HTTP://{}/", "credentials": "u:p@{}"}

ROUTES: tuple[Route, ...] = (
    # Names and addresses.
    Route("a host in capitals", "http://LOCALHOST:{plain}", sees=("host: localhost:{plain}",)),
    Route("a scheme in capitals", "HTTP://localhost:{plain}", sees=("host: localhost:{plain}",)),
    Route("a dot at the host's end", "http://localhost.:{plain}", sees=("host: localhost:{plain}",)),
    Route("an IPv4 address", "http://127.0.0.1:{plain}", sees=("host: 127.0.0.1:{plain}",)),
    Route("an IPv6 address", "http://[0:0::1]:{plain6}", sees=("host: [::1]:{plain6}",)),
    Route(
        "an international name",
        "http://BÜCHER.example:{plain}",
        sees=("host: xn--bcher-kva.example:{plain}",),
        addresses=("plain",),
    ),
    Route("a name with an underscore", "http://two_.example:{plain}", addresses=("plain",)),
    Route("an unknown name", "https://two.example", LOOKUP + "connection's host)", addresses=()),
    Route("nothing listens", "http://localhost:{closed}", "Connection refused"),
    Route("two addresses, one refuses", "http://two.example", addresses=("closed", "plain")),
    Route("two addresses, one is silent", "http://two.example", addresses=("silent", "plain"), extra={"timeout": 4}),
    Route("two addresses, both refuse", "http://two.example", "Connection refused", addresses=("closed", "closed")),
    Route(
        "all addresses are silent",
        "http://two.example",
        "connecting timed out after 1.8 s",
        addresses=("silent", "silent"),
        extra={"timeout": 2},
    ),
    # TLS.
    Route("TLS", extra=CA, sees=("sni: localhost", "host: localhost:{tls}")),
    Route("TLS, a host in capitals with a dot", "https://LocalHost.:{tls}", extra=CA, sees=("sni: localhost",)),
    Route("TLS, an address", "https://127.0.0.1:{tls}", extra=CA, sees=("sni: none",)),
    Route("TLS, an IPv6 address", "https://[::1]:{tls6}", extra=CA, sees=("sni: none",)),
    Route(
        "TLS, an international name",
        "https://bücher.example",
        extra=CA,
        sees=("sni: xn--bcher-kva.example",),
        addresses=("tls",),
    ),
    Route("an unknown authority", error=UNTRUSTED),
    Route("another host's certificate", error="certificate verification failed: Hostname mismatch", extra=CA,
          host="https://two.example", addresses=("tls",)),
    Route("an expired certificate", "https://localhost:{expired}",
          "certificate verification failed: certificate has expired", extra=CA),
    Route("an expired certificate, not verified", "https://localhost:{expired}", extra={"verify": False}),
    Route("https where http is served", "https://localhost:{http}", "TLS handshake failed: "),
    Route("authorities in REQUESTS_CA_BUNDLE", environment={"REQUESTS_CA_BUNDLE": "{ca}"}),
    Route("authorities in CURL_CA_BUNDLE", environment={"CURL_CA_BUNDLE": "{ca}"}),
    Route("authorities in SSL_CERT_FILE", environment={"SSL_CERT_FILE": "{ca}"}),
    Route("REQUESTS_CA_BUNDLE before SSL_CERT_FILE", error=UNTRUSTED,
          environment={"REQUESTS_CA_BUNDLE": "{other_ca}", "SSL_CERT_FILE": "{ca}"}),
    Route("`verify` before the environment", error=UNTRUSTED, extra={"verify": "{other_ca}"},
          environment={"REQUESTS_CA_BUNDLE": "{ca}"}),
    Route("REQUESTS_CA_BUNDLE without a file", environment={"REQUESTS_CA_BUNDLE": "/nonexistent"},
          error="environment variable REQUESTS_CA_BUNDLE: '/nonexistent' as CA file: No such file or directory"),
    Route("REQUESTS_CA_BUNDLE without a file, for plain http", "http://localhost:{plain}",
          environment={"REQUESTS_CA_BUNDLE": "/nonexistent"}, sees=("host: localhost:{plain}",)),
    Route("REQUESTS_CA_BUNDLE without a file, `proxy` for plain http", "http://trim.invalid",
          environment={"REQUESTS_CA_BUNDLE": "/nonexistent"}, extra={"proxy": "127.0.0.1:{plain}"},
          sees=("host: trim.invalid",)),
    Route("REQUESTS_CA_BUNDLE without a file, `proxy` spoken to by https", "http://trim.invalid",
          environment={"REQUESTS_CA_BUNDLE": "/nonexistent"}, extra={"proxy": "https://localhost:{tls_proxy}"},
          error="environment variable REQUESTS_CA_BUNDLE: '/nonexistent' as CA file: No such file or directory"),
    Route("`verify` without a file, for plain http", "http://localhost:{plain}", extra={"verify": "/nonexistent"},
          sees=("host: localhost:{plain}",)),
    # Proxies of the connection.
    *(
        Route(f"`proxy` as {form}", extra={**CA, "proxy": text.format("127.0.0.1:{proxy}")}, sees=TUNNEL)
        for form, text in FORMS.items()
    ),
    Route("`proxy`, credentials with other characters", extra={**CA, "proxy": "ü:p%40ss@127.0.0.1:{proxy}"},
          sees=(*TUNNEL, f"{BASIC}w7w6cebzcw==")),
    Route("`proxy`, a user without a password", extra={**CA, "proxy": "u@127.0.0.1:{proxy}"}, sees=(f"{BASIC}dto=",)),
    Route("`proxy` spoken to by https", extra={**CA, "proxy": "https://u:p@localhost:{tls_proxy}"}, sees=TUNNEL),
    Route("`proxy` for plain http", "http://trim.invalid", extra={"proxy": "u:p@127.0.0.1:{plain}"},
          sees=("post http://trim.invalid/vod/", "host: trim.invalid", f"{BASIC}dtpw")),
    Route("`proxy` and NO_PROXY", extra={**CA, "proxy": "127.0.0.1:{proxy}"}, environment={"NO_PROXY": "*"},
          sees=TUNNEL),
    Route("`proxy` and HTTPS_PROXY", extra={**CA, "proxy": "127.0.0.1:{proxy}"},
          environment={"HTTPS_PROXY": "127.0.0.1:{closed}"}, sees=TUNNEL),
    Route("`proxy`, an IPv6 address of the service", "https://[::1]:{tls6}", sees=("connect [::1]:{tls6} http/1.1",),
          extra={**CA, "proxy": "127.0.0.1:{proxy}"}),
    Route("`proxy` by SOCKS", error=f"connection extra 'proxy': {SOCKS}", extra={"proxy": "socks5h://127.0.0.1:1"}),
    Route("an unknown authority behind `proxy`", error=UNTRUSTED, extra={"proxy": "127.0.0.1:{proxy}"}),
    _refusing("CONNECT refused with 407", "proxy407",
              f"proxy 127.0.0.1:{{proxy407}}: {CONNECT} 407 (check the proxy's user and password)"),
    _refusing("CONNECT refused with 403", "proxy403", f"proxy 127.0.0.1:{{proxy403}}: {CONNECT} 403"),
    _refusing("CONNECT refused with 502", "proxy502", f"proxy 127.0.0.1:{{proxy502}}: {CONNECT} 502"),
    _refusing("a proxy that closes", "closing", "connection closed"),
    _refusing("a proxy that is none", "garbage", "malformed HTTP response"),
    _refusing("a proxy that is gone", "closed", "proxy 127.0.0.1:{closed}: Connection refused"),
    Route("plain http refused with 407", "http://trim.invalid", extra={"proxy": "127.0.0.1:{http407}"}, status=407),
    Route("a proxy with an unknown name", "https://trim.invalid", extra={"proxy": "two.example:3128"},
          error=f"proxy two.example:3128: {LOOKUP}address of the proxy)", addresses=()),
    Route("a proxy with an unknown name, plain http", "http://trim.invalid", extra={"proxy": "two.example:3128"},
          error=f"proxy two.example:3128: {LOOKUP}address of the proxy)", addresses=()),
    # Proxies of the environment.
    *(
        Route(f"{variable} as {form}", extra=CA, environment={variable: text.format("127.0.0.1:{proxy}")}, sees=TUNNEL)
        for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        for form, text in FORMS.items()
    ),
    *(
        Route(f"{variable} for plain http", "http://trim.invalid", environment={variable: "u:p@127.0.0.1:{plain}"},
              sees=("post http://trim.invalid/vod/", f"{BASIC}dtpw"))
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    ),
    Route("HTTP_PROXY for https", extra=CA, environment={"HTTP_PROXY": "127.0.0.1:{closed}"}, sees=("sni: localhost",)),
    Route("HTTPS_PROXY before ALL_PROXY", extra=CA, sees=TUNNEL,
          environment={"HTTPS_PROXY": "127.0.0.1:{proxy}", "ALL_PROXY": "127.0.0.1:{closed}"}),
    *(
        Route(f"NO_PROXY={excepted}", host, extra=CA, sees=("post /vod/",),
              environment={variable: excepted, "ALL_PROXY": "127.0.0.1:{closed}"})
        for variable, excepted, host in (
            ("NO_PROXY", "localhost", "https://localhost:{tls}"),
            ("NO_PROXY", "*", "https://localhost:{tls}"),
            ("no_proxy", "10.0.0.0/8, 127.0.0.0/8", "https://127.0.0.1:{tls}"),
            ("NO_PROXY", "127.0.0.1", "http://127.0.0.1:{plain}"),
        )
    ),
    Route("NO_PROXY with another host", extra=CA, sees=TUNNEL,
          environment={"NO_PROXY": "local, example.com", "ALL_PROXY": "127.0.0.1:{proxy}"}),
    *(
        Route(f"{scheme} in ALL_PROXY", "https://trim.invalid", environment={"ALL_PROXY": f"{scheme}://u:geheim@h:1080"},
              error=f"environment variable HTTPS_PROXY or ALL_PROXY: {SOCKS}")
        for scheme in ("socks5", "SOCKS5h", "socks4")
    ),
    Route("HTTPS_PROXY refused with 407", "https://trim.invalid", environment={"HTTPS_PROXY": "127.0.0.1:{proxy407}"},
          error=f"proxy 127.0.0.1:{{proxy407}}: {CONNECT} 407 (check the proxy's user and password)"),
    # Nothing else of the machine's takes part; no request of any row may have Authorization or Cookie.
    Route("a host in .netrc", extra=CA, environment={"NETRC": "{netrc}"}),
    Route("a proxy in .netrc", environment={"NETRC": "{netrc}"}, extra={"proxy": "127.0.0.1:{proxy407}"},
          error=f"proxy 127.0.0.1:{{proxy407}}: {CONNECT} 407"),
    Route("a cookie in the response before", extra=CA),
)  # fmt: skip


class _HttpOnly(BareServer):
    """Takes what it is sent first for a bad request."""

    requests: tuple[bytes, ...] = ()

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


class Peers:
    """What the routes lead to, and what it has received."""

    def __init__(self, folder: Path) -> None:
        self.names: list[str] = []
        self.places: dict[str, Any] = {name: str(folder / name) for name in ("ca", "other_ca", "netrc")}
        self._servers: dict[str, Any] = {}
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.places["ca"])
        trustme.CA().cert_pem.write_to_path(self.places["other_ca"])
        netrc = Path(self.places["netrc"])
        netrc.write_text("machine localhost login u password p\nmachine 127.0.0.1 login u password p\n")
        netrc.chmod(0o600)
        self._tls = self._context(authority.issue_cert("localhost", "127.0.0.1", "::1", "xn--bcher-kva.example"))
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        self._expired = self._context(authority.issue_cert("localhost", not_after=past))

    def _context(self, certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        context.sni_callback = lambda sock, name, _: self.names.append(f"sni: {name}")
        return context

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serve all of them."""
        refused = b"HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        servers: dict[str, BareServer] = {
            "plain": RawServer(RESPONSE),
            "plain6": RawServer(RESPONSE, host="::1"),
            "tls": RawServer(RESPONSE, self._tls),
            "tls6": RawServer(RESPONSE, self._tls, host="::1"),
            "expired": RawServer(RESPONSE, self._expired),
            "proxy": TunnelProxy(),
            "tls_proxy": TunnelProxy(tls=self._tls),
            **{f"proxy{status}": TunnelProxy(refused % status) for status in (407, 403, 502)},
            "http407": RawServer(refused % 407),
            "http": _HttpOnly(),
            "closing": TunnelProxy(b""),
            "garbage": TunnelProxy(b"garbage\r\n\r\n"),
        }
        with contextlib.ExitStack() as stack:
            for name, server in servers.items():
                self._servers[name] = stack.enter_context(server)
                self.places[name] = server.port
            closed, silent = stack.enter_context(socket.socket()), stack.enter_context(socket.socket())
            for name, sock in {"closed": closed, "silent": silent}.items():
                sock.bind(("127.0.0.1", 0))
                self.places[name] = sock.getsockname()[1]
            silent.listen(0)
            for _ in range(3):  # its backlog is full: connections are neither accepted nor refused
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(silent.getsockname())
            yield

    def forget(self) -> None:
        """Forget what was received."""
        self.names.clear()
        for server in self._servers.values():
            server.requests = []

    def received(self) -> str:
        """Return what was received, in lower case."""
        received = [request.decode("latin-1") for server in self._servers.values() for request in server.requests]
        return "\n".join([*self.names, *received]).lower()

    def resolver(self, route: Route) -> Callable[..., Any]:
        """Return a ``getaddrinfo`` that knows the route's addresses."""
        resolve = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if route.addresses is None or not str(name).endswith(".example"):
                return resolve(host, *args, **kwargs)
            if not route.addresses:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            ports = [self.places[address] for address in route.addresses]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

        return getaddrinfo
