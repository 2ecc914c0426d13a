#!/usr/bin/env python3
"""Bearer tokens on the clients' port: scopes and rates, alike by HTTP and gRPC; revoked without a restart; named in the audit."""

import hashlib
import os
import signal
import subprocess

import harness
import sosp_wire as wire
from harness import grpc
from test_http import HttpCase, archive, model_entries

TOKENS = {"reader": "observe", "camera": "infer", "admin": "infer,manage,observe", "slow": "infer", "deployer": "manage"}
SECRETS = {name: "%s-%s" % (name, os.urandom(16).hex()) for name in TOKENS}


def lines(*names):
    return "".join("%s %s sha256:%s%s\n" % (name, TOKENS[name], hashlib.sha256(SECRETS[name].encode()).hexdigest(),
                                           " rate=1 burst=3" if name == "slow" else "") for name in names)


class Tokens(HttpCase):
    @classmethod
    def setUpClass(cls):
        cls.OPTIONS = (*HttpCase.OPTIONS, "--CLIENTS/tokens", "tokens")
        plain_client, start_node = harness.Group.client, harness.Group.start_node
        cls.secret_files = {}

        def start(group, k, *args, **kwargs):
            for name, text in [("tokens", lines(*TOKENS))] + [(n, s + "\n") for n, s in SECRETS.items()]:
                cls.write(os.path.join(group.folder(k), name), text)
            return start_node(group, k, *args, **kwargs)

        def client(group, *args, token="admin", **kwargs):
            return plain_client(group, *args, *(("--token", os.path.join(group.folder(0), token)) if token else ()), **kwargs)
        harness.Group.start_node, harness.Group.client = start, client
        cls.addClassCleanup(setattr, harness.Group, "client", plain_client)
        try:
            super().setUpClass()
        finally:
            harness.Group.start_node = start_node

    @staticmethod
    def write(path, text):
        with open(path, "w") as out:
            out.write(text)
        os.chmod(path, 0o600)

    def get(self, path, token=None, method="GET", body=None):
        return self.ask(method, path, body, **({"Authorization": "Bearer " + SECRETS[token]} if token else {}))

    def code(self, method, message=b"", token=None, stream=False):
        """grpc's status of a unary call, by name, and its trailers."""
        metadata = [("authorization", "Bearer " + SECRETS.get(token, token))] if token else []
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            call = (channel.stream_unary if stream else channel.unary_unary)(method)
            try:
                call(iter([message]) if stream else message, timeout=harness.WAIT_S, metadata=metadata)
                return "OK", {}
            except grpc.RpcError as refused:
                return refused.code().name, dict(refused.trailing_metadata() or ())

    def test_probes_need_none(self):
        for path in ("/ping", "/v2/health/live", "/v2/health/ready", "/healthz", "/livez", "/readyz"):
            self.assertEqual(self.get(path).status, 200, path)
        self.assertEqual(self.code("/grpc.health.v1.Health/Check")[0], "OK")
        self.assertEqual(self.code("/inference.GRPCInferenceService/ServerReady")[0], "OK")

    def test_http_without_a_token_or_with_a_wrong_one(self):
        for path, family in (("/metrics", "code"), ("/v2/models/1", "error"), ("/no/such/path", "code"), ("/models", "code")):
            reply = self.get(path)
            self.assertEqual(reply.status, 401, path)
            self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="nexus"')
            self.assertIn("a token is needed", reply.json["error" if family == "error" else "message"])
            wrong = self.ask("GET", path, Authorization="Bearer guess")
            self.assertEqual(wrong.status, 401)
            self.assertIn('error="invalid_token"', wrong.headers["WWW-Authenticate"])
        self.assertEqual(self.get("/no/such/path", "reader").status, 404)

    def test_each_scope_opens_its_own(self):
        doors = {("GET", "/metrics", None): "reader admin", ("GET", "/models", None): "reader admin deployer",
                 ("GET", "/v2/models/stats", None): "reader admin", ("GET", "/v2/models/1", None): "reader camera admin deployer",
                 ("POST", "/predictions/1", self.red): "camera admin",
                 ("POST", "/v2/repository/index", b"{}"): "reader admin deployer", ("DELETE", "/models/nobody", None): "admin deployer"}
        for (method, path, body), names in doors.items():
            for name in ("reader", "camera", "admin", "deployer"):
                reply = self.get(path, name, method, body)
                if name in names.split():
                    self.assertNotIn(reply.status, (401, 403), (path, name))
                else:
                    self.assertEqual(reply.status, 403, (path, name))
                    self.assertIn("insufficient_scope", reply.headers["WWW-Authenticate"])

    def test_grpc_answers_alike(self):
        v2, demo = "/inference.GRPCInferenceService/", "/sospdemo.FunctionTierService/"
        for method in (v2 + "ModelInfer", v2 + "RepositoryIndex", demo + "RemoveModel", "/nexus.Control/ListModels"):
            self.assertEqual(self.code(method)[0], "UNAUTHENTICATED", method)
            self.assertEqual(self.code(method, token="guess")[0], "UNAUTHENTICATED", method)
        self.assertEqual(self.code(v2 + "RepositoryIndex", token="reader")[0], "OK")
        self.assertEqual(self.code(v2 + "RepositoryIndex", token="camera")[0], "PERMISSION_DENIED")
        self.assertEqual(self.code(wire.REMOVE, wire.remove_request(99), token="camera")[0], "PERMISSION_DENIED")
        self.assertEqual(self.code(wire.INSTALL, token="reader", stream=True)[0], "PERMISSION_DENIED")
        self.assertEqual(self.code(wire.WHATSTHIS, token="reader", stream=True)[0], "PERMISSION_DENIED")

    def test_status_and_top_show_theirs(self):
        for command in ("status", "top"):
            def ask(*flags):
                done = subprocess.run([harness.nexus(), command, self.group.address(), *flags], stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, timeout=harness.WAIT_S)
                return harness.Answer(done.returncode, done.stdout, done.stderr)
            told = ask("--token", os.path.join(self.group.folder(0), "reader"))
            self.assertEqual((told.code, told.err), (0, ""), told.story)
            self.assertIn("categorizer", told.out)
            self.assert_refused(ask(), "UNAUTHENTICATED")
            self.assert_refused(ask("--token", os.path.join(self.group.folder(0), "camera")), "PERMISSION_DENIED")
            self.assert_refused(ask("--token", self.file("empty", b"\n")), "holds no token")
            usage = ask("--cert", "c")
            self.assertEqual((usage.code, "belong together" in usage.err), (2, True), usage.story)

    def test_the_client_shows_its_token(self):
        self.assert_says("red", self.group.client("inference", "1", self.photo, token="camera"))
        answer = self.group.client("inference", "1", self.photo, token=None)
        self.assertEqual((answer.code, "UNAUTHENTICATED" in answer.err), (1, True), answer.story)
        answer = self.group.client("removemodel", "1", token="camera")
        self.assertEqual((answer.code, "PERMISSION_DENIED" in answer.err), (1, True), answer.story)

    def test_audit_lines_name_the_token(self):
        self.put("audited.mar", archive(model_entries()))
        self.assertEqual(self.get("/models?url=audited.mar&model_name=audited", "admin", "POST").status, 200)
        self.assertEqual(self.get("/models/audited", "camera", "DELETE").status, 403)
        self.assertEqual(self.get("/models/audited", "admin", "DELETE").status, 200)
        self.code(wire.REMOVE, wire.remove_request(98), token="camera")
        errors = self.group.nodes[0].errors
        for words in (("token admin", "audited registered"), ("token camera", "refused"),
                      ("token admin", "audited unregistered"), ("token camera", "RemoveModel refused")):
            harness.wait_until(lambda: any("audit: " in e and all(w in e for w in words) for e in errors), "\n".join(errors))
        for secret in SECRETS.values():
            self.assertFalse(any(secret in line for line in errors + self.group.nodes[0].lines))

    def test_a_rate_is_kept_over_both_wires(self):
        replies = []

        def refused():
            replies.append(self.get("/v2/models/1", "slow"))
            return replies[-1].status == 429
        harness.wait_until(refused, "the rate bounds nothing")
        self.assertEqual(replies[0].status, 200)
        self.assertEqual(replies[-1].headers.get_all("Retry-After"), ["1"])

        def refused_by_grpc():
            replies.append(self.code("/inference.GRPCInferenceService/ModelReady", token="slow"))
            return replies[-1][0] == "RESOURCE_EXHAUSTED"
        harness.wait_until(refused_by_grpc, "the rate bounds nothing by gRPC")
        trailers = replies[-1][1]
        self.assertTrue(0 < int(trailers["grpc-retry-pushback-ms"]) <= 1000)
        self.assertEqual(self.get("/v2/models/1", "camera").status, 200)  # nobody else's rate
        harness.wait_until(lambda: self.get("/v2/models/1", "slow").status == 200, "the rate never lets it in again")

    def test_a_revoked_token_is_unknown_after_sighup(self):
        path = os.path.join(self.group.folder(0), "tokens")
        node = self.group.nodes[0]
        self.write(path, lines("reader", "admin", "slow"))
        node.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.get("/v2/models/1", "camera").status == 401, "still let in")
        self.assertEqual(self.get("/v2/models/1", "admin").status, 200)
        self.write(path, "nonsense\n")
        node.signal(signal.SIGHUP)
        harness.wait_until(lambda: any("all stays as it was: tokens: tokens:1" in e for e in node.errors), node.story())
        self.assertEqual(self.get("/v2/models/1", "admin").status, 200)
        self.write(path, lines(*TOKENS))
        node.signal(signal.SIGHUP)
        harness.wait_until(lambda: self.get("/v2/models/1", "camera").status == 200, "not let in again")


if __name__ == "__main__":
    harness.main()
