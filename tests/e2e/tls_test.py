"""What a target is told goes over few connections, and no credential leaves before the other side's certificate held.

A target's own certificate, and that of the server which gives out its tokens; HTTP/2 where it is offered, by node.
"""

import shutil
import socket
import ssl
import subprocess
import threading
import unittest
import warnings

import authorization_test
import book
import fault_server
import post_test

CANARY = "canary-token-91d2"
# Takes what comes, and says by which protocol and over how many connections.
NODE = """
const http2 = require("http2"), fs = require("fs");
const pem = fs.readFileSync(process.argv[2]);
const server = http2.createSecureServer({key: pem, cert: pem, allowHTTP1: true});
let connections = 0;
server.on("secureConnection", () => ++connections);
server.on("request", (request, response) => {
  request.resume();
  request.on("end", () => {
    console.log(request.httpVersion, request.headers["webhook-id"], connections);
    response.writeHead(200, {"content-type": "application/json"});
    response.end("{}");
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit(0));
"""
CA = """
[ca]
default_ca = one
[one]
database = DIRECTORY/index
serial = DIRECTORY/serial
new_certs_dir = DIRECTORY
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost
"""


class Proxy:
    """Makes tunnels to one port of this machine, whatever it is asked for; `asked`: for what; `heard`: all it was sent."""

    def __init__(self, port):
        self.port, self.asked, self.heard = port, [], b""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listening.getsockname()[1]

    def __enter__(self):
        self.serving = threading.Thread(target=self.serve, daemon=True)
        self.serving.start()
        return self

    def __exit__(self, *_):
        self.listening.shutdown(socket.SHUT_RDWR)  # ends the accept
        self.serving.join()
        self.listening.close()

    def serve(self):
        while True:
            try:
                near, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.tunnel, args=(near,), daemon=True).start()

    def tunnel(self, near):
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(4096)
        self.asked.append(head.split(b"\r\n")[0])
        self.heard += head
        with near, socket.create_connection(("127.0.0.1", self.port)) as far:
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self.carry, args=(far, near, False), daemon=True)
            back.start()
            self.carry(near, far, True)
            back.join()

    def carry(self, source, to, is_heard):
        try:
            while piece := source.recv(65_536):
                self.heard += piece if is_heard else b""
                to.sendall(piece)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side hung up


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class Tls(post_test.Case):
    def setUp(self):
        super().setUp()
        self.environment.update(HOOK_TOKEN=CANARY, CLIENT_SECRET=CANARY)
        self.good = self.certificate("good")

    def certificate(self, name, begins="20200101000000Z", ends="20491231000000Z"):
        """Of localhost, signed by itself: a file with its key; the catalog has the certificate alone as NAME.pem."""
        place = self.scratch / f"ca-{name}"
        place.mkdir()
        (place / "index").touch()
        (place / "serial").write_text("01\n")
        (place / "config").write_text(CA.replace("DIRECTORY", str(place)))
        run = dict(check=True, capture_output=True, timeout=60)
        subprocess.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
                        place / "key", "-out", place / "request"], **run)
        subprocess.run(["openssl", "ca", "-batch", "-notext", "-selfsign", "-config", place / "config", "-keyfile",
                        place / "key", "-in", place / "request", "-startdate", begins, "-enddate", ends, "-out",
                        self.catalog / f"{name}.pem"], **run)
        whole = self.scratch / f"{name}-with-key.pem"
        whole.write_bytes((place / "key").read_bytes() + (self.catalog / f"{name}.pem").read_bytes())
        return whole

    def only(self, version):
        """The good certificate, by this version of TLS and older ones alone."""
        context = fault_server.tls(self.good)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL of itself no longer offers what is older than 1.2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # which is what the test is about
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, version
        return context

    def target(self, name, port, ca="good.pem", auth="kind: bearer, token: env:HOOK_TOKEN", host="localhost"):
        return (post_test.webhook(f"https://{host}:{port}/", name).replace("    plain_http: true\n", "") +
                f"    ca_file: {ca}\n    private_network: true\n    auth: {{{auth}}}\n")

    def assert_waits(self, name, words):
        row, = self.deliveries("--target", name)
        # One of nobody who is trusted, or of another name, is for who wrote `ca_file` and `url`.
        of_another = name in ("unknown", "othername")
        problem, owner = (("configuration", "the keeper of targets.yaml") if of_another else
                          ("availability", "the target's operator"))
        self.assertEqual([row["state"], row["problem"], row["owner"]], ["retry-wait", problem, owner], name)
        self.assertRegex(row["last_error"], words)

    def bad(self):
        """(name, what a server shows, the catalog's file of authorities, its host, what is said of it)."""
        expired = self.certificate("expired", "20200101000000Z", "20200201000000Z")
        later = self.certificate("later", "20480101000000Z", "20491231000000Z")
        return (("expired", expired, "expired.pem", "localhost", "certificate has expired"),
                ("later", later, "later.pem", "localhost", "certificate is not yet valid"),
                ("old", self.only(ssl.TLSVersion.TLSv1_1), "good.pem", "localhost", "(?i)protocol|version"),
                ("unknown", self.good, "expired.pem", "localhost", "self-signed certificate"),
                ("othername", self.good, "good.pem", "127.0.0.1", "no alternative certificate subject name matches"))

    def test_no_credential_goes_to_a_target_whose_certificate_or_protocol_does_not_hold(self):
        self.seal(1)
        for name, shown, ca, host, words in self.bad():
            with self.subTest(name), fault_server.Server(post_test.SECRET, certificate=shown) as server:
                self.targets(self.target(name, server.port, ca, host=host))
                self.post("--target", name)
                self.assert_waits(name, words)
                self.assertEqual(server.wire, [])
        for name, shown in (("newest", self.good), ("tls12", self.only(ssl.TLSVersion.TLSv1_2))):
            with self.subTest(name), fault_server.Server(post_test.SECRET, certificate=shown) as server:
                self.targets(self.target(name, server.port))
                self.post("--target", name, "--strict")
                (_, _, headers, _), = server.wire
                self.assertEqual(headers["Authorization"], "Bearer " + CANARY)

    def test_no_secret_goes_to_a_token_server_whose_certificate_or_protocol_does_not_hold(self):
        self.seal(1)
        both = self.catalog / "both.pem"
        with authorization_test.TokenServer(post_test.SECRET, certificate=self.good) as server:
            for name, shown, ca, host, words in self.bad():
                # The target's own certificate holds throughout; of the last but one the authorities have only that.
                of_target = (self.catalog / "good.pem").read_bytes()
                if name == "unknown":
                    shown = self.certificate("stranger")
                both.write_bytes(of_target + (b"" if name == "unknown" else (self.catalog / ca).read_bytes()))
                with self.subTest(name), authorization_test.TokenServer(post_test.SECRET, certificate=shown) as tokens:
                    auth = (f"token_url: 'https://{host}:{tokens.port}/token', client_id: tollbook, "
                            "kind: client_secret, client_secret: env:CLIENT_SECRET")
                    self.targets(self.target(name, server.port, "both.pem", auth))
                    self.post("--target", name)
                    self.assert_waits(name, words)
                    self.assertEqual([tokens.wire, tokens.forms, server.wire], [[], [], []])
            auth = (f"token_url: 'https://localhost:{server.port}/token', client_id: tollbook, "
                    "kind: client_secret, client_secret: env:CLIENT_SECRET")
            self.targets(self.target("good", server.port, auth=auth))
            self.post("--target", "good", "--strict")
            self.assertEqual(len(server.forms), 1)

    def test_all_of_a_target_goes_over_one_connection(self):
        self.seal(5)
        with fault_server.Server(post_test.SECRET) as plain, \
                fault_server.Server(post_test.SECRET, certificate=self.good) as secure:
            self.targets(post_test.webhook(plain.url), self.target("secure", secure.port))
            self.post("--strict")
            self.assertEqual([len(plain.taken), plain.connections], [5, 1])
            self.assertEqual([len(secure.taken), secure.connections], [5, 1])
        with fault_server.Server() as ledger:
            self.targets(post_test.ledger(ledger.url))
            self.post("--strict")
            self.assertGreater(len(ledger.wire), 20)
            self.assertEqual(ledger.connections, 1)

    def test_a_proxy_carries_what_it_cannot_read(self):
        self.seal(1)
        with fault_server.Server(post_test.SECRET, certificate=self.good) as server, Proxy(server.port) as proxy:
            by_proxy = f"    proxy: {proxy.url}\n"
            self.targets(self.target("hook", 443, host="localhost") + by_proxy)
            self.post("--strict", env=dict(self.environment, https_proxy="http://127.0.0.1:9", no_proxy="*"))
            (_, _, headers, _), = server.wire
            self.assertEqual(headers["Authorization"], "Bearer " + CANARY)
            self.assertEqual(proxy.asked, [b"CONNECT localhost:443 HTTP/1.1"])
            self.assertNotIn(CANARY.encode(), proxy.heard)
            self.assertGreater(len(proxy.heard), 1000)
            # Of a certificate that does not hold nothing comes of it, as without a proxy.
            self.targets(self.target("othername", 443, host="127.0.0.1") + by_proxy)
            self.post("--target", "othername")
            self.assert_waits("othername", "no alternative certificate subject name matches")
            self.assertEqual(len(server.wire), 1)
            self.assertEqual(len(proxy.asked), 2)

    @unittest.skipUnless(shutil.which("node"), "node, which speaks HTTP/2, is not installed")
    def test_http_2_is_spoken_where_it_is_offered(self):
        self.seal(5)
        script = self.scratch / "server.js"
        script.write_text(NODE)
        with subprocess.Popen(["node", script, self.good], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as node:
            try:
                self.targets(self.target("h2", int(node.stdout.readline())))
                self.post("--strict")
            finally:
                node.stdin.close()
            said = [line.split() for line in node.stdout]
        self.assertEqual(sorted(key for _, key, _ in said), sorted(self.journal()))
        self.assertEqual({(version, connections) for version, _, connections in said}, {("2.0", "1")})


if __name__ == "__main__":
    book.main()
