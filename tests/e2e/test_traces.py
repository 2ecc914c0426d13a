#!/usr/bin/env python3
"""Traces by OTLP/HTTP: a small collector checks each request against the schema; a collector that is away does no harm."""

import collections
import contextlib
import http.server
import json
import os
import re
import threading

import harness
import sosp_wire as wire
from harness import grpc
from test_http import HttpCase

SERVER, CLIENT, INTERNAL = 2, 3, 1
ABOVE = "b7ad6b7169203331"


def check(case, export):
    """An ExportTraceServiceRequest in OTLP's JSON; yields (resource's attributes, span, its attributes)."""
    def attributes(rows):
        found = {}
        for row in rows:
            case.assertEqual(set(row), {"key", "value"})
            (kind, value), = row["value"].items()
            case.assertIn(kind, ("stringValue", "intValue"))
            case.assertIsInstance(value, str)  # 64-bit numbers are strings in protobuf's JSON
            case.assertNotIn(row["key"], found)
            found[row["key"]] = int(value) if kind == "intValue" else value
        return found
    case.assertEqual(set(export), {"resourceSpans"})
    for resource in export["resourceSpans"]:
        case.assertEqual(set(resource), {"resource", "scopeSpans"})
        who = attributes(resource["resource"]["attributes"])
        case.assertEqual(who["service.name"], "nexus")
        for scope in resource["scopeSpans"]:
            case.assertEqual(scope["scope"]["name"], "nexus")
            for span in scope["spans"]:
                case.assertLessEqual(set(span), {"traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano",
                                                 "endTimeUnixNano", "attributes", "status"})
                case.assertRegex(span["traceId"], "^[0-9a-f]{32}$")
                for key in ("spanId", "parentSpanId"):
                    if key in span:
                        case.assertRegex(span[key], "^[0-9a-f]{16}$")
                case.assertIn(span["kind"], (SERVER, CLIENT, INTERNAL))
                case.assertTrue(span["name"])
                case.assertLessEqual(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]))
                case.assertIn(span["status"].get("code", 0), (0, 2))
                yield who, span, attributes(span["attributes"])


class Collector(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port=0):
        self.exports, self.paths, self.status, self.gone = [], set(), 200, False
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d/v1/traces" % self.server_address[1]

    def close(self):
        self.gone = True  # for connections that still stand
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.gone:
            self.close_connection = True
            return
        self.server.paths.add((self.path, self.headers["Content-Type"]))
        if self.server.status == 200:
            self.server.exports.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class TraceCase(HttpCase):
    MORE = ()

    @classmethod
    def setUpClass(cls):
        cls.collector = Collector()
        cls.addClassCleanup(cls.collector.close)
        start_node = harness.Group.start_node
        harness.Group.start_node = lambda group, k, *args, **kwargs: start_node(
            group, k, "--otlp", cls.collector.url, *cls.MORE, *args, **kwargs)
        try:
            super().setUpClass()
        finally:
            harness.Group.start_node = start_node

    def spans(self, trace):
        """name → [(node, span, attributes)] of one trace."""
        found = collections.defaultdict(list)
        for export in list(self.collector.exports):
            for who, span, attributes in check(self, export):
                if span["traceId"] == trace:
                    found[span["name"]].append((who["service.instance.id"], span, attributes))
        return found

    def wait_spans(self, trace, *names):
        harness.wait_until(lambda: set(names) <= set(self.spans(trace)), "not all of %s: %s" % (names, self.spans(trace)))
        return self.spans(trace)

    def metric(self, name):
        return int(re.search(r"(?m)^%s (\d+)$" % name, self.ask("GET", "/metrics").body.decode()).group(1))


class Traces(TraceCase):
    def test_a_photo_by_http(self):
        trace = os.urandom(16).hex()
        reply = self.ask("POST", "/predictions/1", self.red, traceparent="00-%s-%s-01" % (trace, ABOVE), x_request_id="r-1")
        self.assertEqual(reply.status, 200)
        found = self.wait_spans(trace, "POST /predictions/?", "ask infer", "infer", "prepare", "queue", "run")
        (node, top, facts), = found["POST /predictions/?"]
        self.assertEqual((node, top["kind"], top["parentSpanId"], top["status"]), ("0", SERVER, ABOVE, {}))
        self.assertEqual(top["spanId"], reply.headers["traceresponse"][36:52])
        self.assertEqual((facts["http.request.method"], facts["url.path"], facts["http.response.status_code"],
                          facts["nexus.model"], facts["nexus.request_id"]), ("POST", "/predictions/1", 200, "1", "r-1"))
        (node, leg, facts), = found["ask infer"]
        self.assertEqual((node, leg["kind"], leg["parentSpanId"]), ("0", CLIENT, top["spanId"]))
        self.assertEqual((facts["nexus.node"], facts["nexus.shard"], facts["nexus.bytes"]), (1, 0, len(self.red)))
        (node, work, facts), = found["infer"]
        self.assertEqual((node, work["kind"], work["parentSpanId"]), ("1", SERVER, leg["spanId"]))
        for name in ("prepare", "queue", "run"):
            (node, part, facts), = found[name]
            self.assertEqual((node, part["kind"], part["parentSpanId"]), ("1", INTERNAL, work["spanId"]))
        self.assertEqual(found["run"][0][2]["nexus.batch"], 1)
        self.assertEqual(self.collector.paths, {("/v1/traces", "application/json")})

    def test_a_photo_by_grpc_and_one_that_fails(self):
        trace = os.urandom(16).hex()
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            with contextlib.suppress(grpc.RpcError):
                channel.stream_unary(wire.WHATSTHIS)(
                    iter([wire.photo_start(len(self.red), [77]), *wire.chunks(self.red, 100)]), timeout=harness.WAIT_S,
                    metadata=[("traceparent", "00-%s-%s-01" % (trace, ABOVE))])
        name = "sospdemo.FunctionTierService/Whatsthis"
        found = self.wait_spans(trace, name, "ask infer")
        (_, top, facts), = found[name]
        self.assertEqual((facts["rpc.system"], facts["rpc.grpc.status_code"], facts["nexus.model"]), ("grpc", 5, "77"))
        (_, leg, _), = found["ask infer"]
        self.assertEqual(leg["status"], {"code": 2, "message": "tag 77 is not installed"})
        self.assertEqual(leg["parentSpanId"], top["spanId"])

    def test_what_is_not_sampled_is_not_told_and_what_begins_here_is(self):
        trace = os.urandom(16).hex()
        self.ask("GET", "/ping", traceparent="00-%s-%s-00" % (trace, ABOVE))
        own = self.ask("GET", "/ping").headers["traceresponse"]
        self.assertEqual(own[-2:], "01")
        (_, span, _), = self.wait_spans(own[3:35], "GET /ping")["GET /ping"]
        self.assertNotIn("parentSpanId", span)
        self.assertFalse(self.spans(trace))

    def test_a_collector_that_has_no_time_is_asked_again(self):
        before = self.metric("nexus_trace_export_failures_total")
        self.collector.status = 503
        own = self.ask("GET", "/ping").headers["traceresponse"]
        harness.wait_until(lambda: self.metric("nexus_trace_export_failures_total") > before, "no failure is counted")
        self.collector.status = 200
        self.wait_spans(own[3:35], "GET /ping")
        self.assertGreater(self.metric("nexus_trace_spans_exported_total"), 0)
        node = self.group.nodes[0]
        harness.wait_until(lambda: any("traces are taken again" in e for e in node.errors), node.story())

    def test_without_a_collector_nothing_is_worse(self):
        port = self.collector.server_address[1]
        self.collector.close()
        try:
            dropped = self.metric("nexus_trace_spans_dropped_total")
            connection = self.connect()
            for _ in range(3000):  # more than the queue holds
                connection.request("GET", "/ping")
                self.assertEqual(connection.getresponse().read()[:1], b"{")
            harness.wait_until(lambda: self.metric("nexus_trace_spans_dropped_total") > dropped, "nothing is dropped")
            self.assert_serving()
            harness.wait_until_asleep(self.group.nodes[:1], 1, 0.5)
        finally:
            type(self).collector = Collector(port)
            self.addClassCleanup(self.collector.close)
        harness.wait_until(lambda: self.ask("GET", "/ping") and self.collector.exports, "nothing comes to the new collector")


class Fewer(TraceCase):
    """Half of the traces that begin here are told, and all that a client has flagged."""

    MORE = ("--otlp_per_million", "500000")

    def test_half_of_them(self):
        flags = [self.ask("GET", "/ping").headers["traceresponse"][-2:] for _ in range(200)]
        self.assertEqual(set(flags), {"00", "01"})
        self.assertIn(flags.count("01"), range(50, 150))  # seven standard deviations
        trace = os.urandom(16).hex()
        self.ask("GET", "/ping", traceparent="00-%s-%s-01" % (trace, ABOVE))
        self.wait_spans(trace, "GET /ping")


class Wrong(harness.unittest.TestCase):
    def test_a_url_that_is_none(self):
        group = harness.Group(2)
        self.addCleanup(group.close)
        node = group.start_node(0, "--otlp", "127.0.0.1:4318")
        self.assertEqual(node.wait(), 1)
        self.assertIn("otlp must be a URL", node.errors[-1])


if __name__ == "__main__":
    harness.main()
