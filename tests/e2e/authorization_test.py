"""A target that wants a token gets one: had once, had again after 401, never in a loop; and no secret is anywhere.

Against a token server of its own (RFC 6749, RFC 7523) in front of the server that plays faults.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import time
import unittest
import urllib.parse

import book
import fault_server
import post_test

CANARY = "canary-client-secret-5b1e"


class TokenServer(fault_server.Server):
    """Gives tokens at /token, and takes an event only with one of them."""

    def __init__(self, secret, **how):
        super().__init__(secret, **how)
        self.tokens, self.forms, self.refused = [], [], 0
        self.valid = lambda token: token == self.tokens[-1]
        self.token_answer = None  # in place of a token: (status, body)
        self.slow = 0
        self.seconds = 3600

    def serve(self, handler, body):
        if handler.path == "/token":
            self.forms.append((dict(urllib.parse.parse_qsl(body.decode())), handler.headers.get("Authorization")))
            time.sleep(self.slow)
            if self.token_answer:
                return self.answer(handler, *self.token_answer)
            self.tokens.append("token-3c7d-%d" % len(self.tokens))
            return self.answer(handler, 200, json.dumps(
                {"access_token": self.tokens[-1], "token_type": "bearer", "expires_in": self.seconds}).encode())
        scheme, _, token = handler.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens or not self.valid(token):
            self.refused += 1
            return self.answer(handler, 401, b"I do not know " + token.encode())
        return super().serve(handler, body)


def auth(server, more):
    return (post_test.webhook(server.url + "hook")
            + f"    auth: {{token_url: {server.url}token, client_id: tollbook, {more}}}\n")


WITH_SECRET = "kind: client_secret, client_secret: env:CLIENT_SECRET, scope: journals"


class Tokens(post_test.Case):
    def setUp(self):
        super().setUp()
        self.environment["CLIENT_SECRET"] = CANARY

    def test_one_token_for_all(self):
        self.seal(4)
        with TokenServer(post_test.SECRET) as server:
            self.targets(auth(server, WITH_SECRET))
            self.post("--strict")
            self.assertEqual(len(server.taken), 4)
            (form, basic), = server.forms
            self.assertEqual(form, {"grant_type": "client_credentials", "scope": "journals"})
            self.assertEqual(base64.b64decode(basic.split()[1]).decode(), "tollbook:" + CANARY)

    def test_a_token_that_expires_is_had_again(self):
        self.seal(4)
        with TokenServer(post_test.SECRET) as server:
            server.seconds = 0
            self.targets(auth(server, WITH_SECRET))
            self.post("--strict")
            self.assertEqual([len(server.taken), len(server.forms)], [4, 4])

    def test_a_token_that_was_taken_back_is_had_again_once(self):
        self.seal(4)
        with TokenServer(post_test.SECRET) as server:
            server.valid = lambda token: token != server.tokens[0] or len(server.taken) < 2
            self.targets(auth(server, WITH_SECRET))
            self.post("--strict")
            self.assertEqual([len(server.taken), len(server.forms), server.refused], [4, 2, 1])

    def test_a_login_that_does_not_help_is_no_loop(self):
        self.seal(4)
        with TokenServer(post_test.SECRET) as server:
            server.valid = lambda token: False
            self.targets(auth(server, WITH_SECRET))
            for _ in range(3):
                self.post()
            self.assertEqual([len(server.taken), len(server.forms), server.refused], [0, 1, 1])
            waiting, = [row for row in self.deliveries() if row["problem"]]
            self.assertEqual([waiting["state"], waiting["problem"], waiting["owner"]],
                             ["retry-wait", "authentication", "the keeper of the secrets"])

    def test_a_token_server_that_refuses_or_is_down_or_slow_lets_nothing_out(self):
        self.seal(1)
        with TokenServer(post_test.SECRET) as server:
            for name, answer, slow, problem in (
                    ("refuses", (401, b'{"error":"invalid_client"}'), 0, "authentication"),
                    ("page", (200, fault_server.HTML), 0, "authentication"),
                    ("down", (503, b"no"), 0, "availability"),
                    ("slow", None, 3, "availability")):
                server.token_answer, server.slow = answer, slow
                self.targets(auth(server, WITH_SECRET).replace("name: hook", "name: " + name))
                self.post("--target", name)
                row, = self.deliveries("--target", name)
                self.assertEqual([row["state"], row["problem"]], ["retry-wait", problem], name)
                self.assertIn("token: ", row["last_error"])
            self.assertEqual([server.taken, server.refused], [{}, 0])

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_a_signed_assertion_holds(self):
        """By the openssl program, which knows nothing of ours."""
        self.seal(1)
        for algorithm, kind, options in (("RS256", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], []),
                                         ("PS256", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                                          ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"])):
            key = self.catalog / f"{algorithm}.pem"
            subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", key], check=True, capture_output=True)
            key.chmod(0o600)
            with self.subTest(algorithm), TokenServer(post_test.SECRET) as server:
                self.targets(auth(server, f"kind: client_assertion, private_key: file:{key.name}, algorithm: {algorithm}, "
                                          "key_id: k1").replace("name: hook", "name: " + algorithm))
                self.post("--strict")
                assertion = server.forms[0][0]["client_assertion"]
                text, _, signature = assertion.rpartition(".")
                (self.scratch / "text").write_text(text)
                (self.scratch / "signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))
                public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", self.scratch / "public"])
                self.assertEqual(public.returncode, 0)
                done = subprocess.run(["openssl", "dgst", "-sha256", *options, "-verify", self.scratch / "public",
                                       "-signature", self.scratch / "signature", self.scratch / "text"],
                                      capture_output=True)
                self.assertEqual(done.stdout, b"Verified OK\n", done.stderr)

    def test_no_secret_is_anywhere(self):
        self.seal(2)
        with TokenServer(post_test.SECRET) as server:
            self.targets(auth(server, WITH_SECRET))
            text = self.post("--dry-run").stdout.decode()
            self.assertIn("Authorization: Bearer ****", text)
            server.valid = lambda token: False  # the answer repeats the token
            said = self.post("--json")
            text += (said.stdout + said.stderr).decode()
            text += json.dumps(self.deliveries())
            self.assertIn("I do not know ****", text)
            server.token_answer = (400, b"no: " + base64.b64encode(b"tollbook:" + CANARY.encode()) + CANARY.encode())
            self.targets(auth(server, WITH_SECRET).replace("name: hook", "name: again"))
            said = self.post("--target", "again")
            text += (said.stdout + said.stderr).decode() + json.dumps(self.deliveries())
            tokens = server.tokens
        text = text.encode()
        for path in self.scratch.rglob("*"):
            text += path.read_bytes() if path.is_file() else b""
        for secret in (CANARY, base64.b64encode(b"tollbook:" + CANARY.encode()).decode(), *tokens):
            self.assertNotIn(secret.encode(), text)


if __name__ == "__main__":
    book.main()
