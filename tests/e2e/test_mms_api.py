#!/usr/bin/env python3
"""MXNet Model Server's API, row by row, by curl: every endpoint, status and sentence of the two dialects that clients rely on.

Which row is tested where:
  health, ports, describe, predict, reply, bad input (0.4 and 1.x)   here; the wire itself in test_http.py
  management (register, scale, list, describe, unregister)            here; hostile archives and two at once in test_http.py
  errors by status and exception                                      here; 408 in tests/unit/test_http_conn.c, 413 here and in
                                                                      test_http.py, 503 of a full queue in test_admission.py
  mms.conf, config.properties, start-up models                        test_mms_config.py
Not here, since there is nothing behind it: downloads by URL (DownloadModelException), Python workers (Worker died., 507 of a
handler), a worker's startTime, StatsD lines, CloudWatch.
"""

import concurrent.futures
import json
import os

import harness
import tiny_model
from harness import GroupCase  # noqa: F401
from test_http import HttpCase, archive, model_entries

JPEG, FORM = "image/jpeg", "multipart/form-data"


class Api(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.photo_file = os.path.join(cls.group.top, "kitten.png")
        with open(cls.photo_file, "wb") as out:
            out.write(cls.red)
        for name in ("m.mar", "z.model", "other.mar"):
            with open(os.path.join(cls.store, name), "wb") as out:
                entries = dict(model_entries())
                if name == "other.mar":
                    entries["synset.txt"] = entries["synset.txt"].replace(b"red", b"rot")
                out.write(archive(list(entries.items())))
        with open(os.path.join(cls.store, "empty.mar"), "wb") as out:
            out.write(archive([("nothing", b"")]))

    def call(self, method, path, *args):
        """(status, headers in lower case, body) of one curl."""
        text = self.curl("-i", "-X", method, *args, "http://%s%s" % (self.group.address(), path)).decode()
        while True:
            head, _, text = text.partition("\r\n\r\n")
            status = int(head.split()[1])
            if status != 100:
                break
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
        return status, headers, text

    def row(self, method, path, status, *words, args=(), kind=None):
        got, headers, body = self.call(method, path, *args)
        with self.subTest(row="%s %s" % (method, path), args=args):
            self.assertEqual(got, status, body)
            self.assertTrue(headers["x-request-id"])
            self.assertIn("no-cache", headers["cache-control"])
            self.assertEqual((headers["pragma"], "expires" in headers), ("no-cache", True))
            for word in words:
                self.assertIn(word, body)
            if status >= 400:
                told = json.loads(body)
                self.assertEqual((list(told), told["code"]), (["code", "type", "message"], status))
                self.assertTrue(body.startswith("{\n") and body.endswith("}\n"), body)
            if kind:
                self.assertEqual(json.loads(body)["type"], kind)
        return body

    def tearDown(self):
        for model in self.ask("GET", "/models").json["models"]:
            if model["modelName"] != "1":
                self.ask("DELETE", "/models/" + model["modelName"])

    def sent(self, *more):
        return ("-F", "data=@%s;type=image/png" % self.photo_file, *more)

    def test_health_and_describe(self):
        self.row("GET", "/ping", 200, '"health": "healthy!"', '"status": "Healthy"')
        self.row("POST", "/ping", 405, kind="MethodNotAllowedException")
        for method, path in (("OPTIONS", "/"), ("GET", "/api-description")):
            told = json.loads(self.row(method, path, 200, "openapi"))
            self.assertEqual(told["openapi"], "3.0.1")
            for operation in ("/ping", "/predictions/{model_name}", "/{model_name}/predict", "/invocations", "/models"):
                self.assertIn(operation, told["paths"])
        told = json.loads(self.row("OPTIONS", "/predictions/1", 200))
        self.assertEqual(list(told["paths"]), ["/predictions/1"])
        self.assertEqual(self.row("OPTIONS", "/predictions/nobody", 404, kind="ModelNotFoundException").count("nobody"), 1)

    def test_predict(self):
        one_x = (("/predictions/1", ("--data-binary", "@" + self.photo_file)),
                 ("/predictions/1", ("-T", self.photo_file)),
                 ("/predictions/1", self.sent()),
                 ("/predictions/1/1", ("-T", self.photo_file)),
                 ("/invocations?model_name=1", ("-T", self.photo_file)),
                 ("/predictions/1/1.0", ("-T", self.photo_file)),
                 ("/models/1/invoke", ("-T", self.photo_file)))
        for path, args in one_x:
            top = json.loads(self.row("POST", path, 200, args=args))
            self.assertEqual(([list(entry) for entry in top], top[0]["class"]), ([["class", "probability"]] * 3, "red"))
        self.row("GET", "/predictions/1", 200, "red", args=("--data-binary", "@" + self.photo_file))
        nested = json.loads(self.row("POST", "/1/predict", 200, args=self.sent()))
        self.assertEqual(nested["prediction"][0][0]["class"], "red")
        values = [entry["probability"] for entry in nested["prediction"][0]]
        self.assertEqual(values, sorted(values, reverse=True))

    def test_versions(self):
        """A model's version is what its shard's installs count, here as in the other protocols; 1.0 is whichever there is."""
        self.assert_done(self.group.client("installmodel", "5", *self.good_model))
        first = int(json.loads(self.row("GET", "/models/5", 200))["modelVersion"])
        self.assert_done(self.group.client("installmodel", "5", *self.good_model, "--replace"))
        now = first + 1
        self.assertEqual(json.loads(self.row("GET", "/models/5", 200))["modelVersion"], "%d" % now)
        photo = ("-T", self.photo_file)
        for path in ("", "/1", "/1.0", "/%d" % now, "/%d.0" % now):
            self.row("POST", "/predictions/5" + path, 200, "red", args=photo)
        for other in (first, now + 1):
            for path in ("%d", "%d.0"):
                self.row("POST", "/predictions/5/" + path % other, 404, kind="ModelVersionNotFoundException", args=photo)
        label = 'nv_inference_count{model="5",version="%d"}' % now
        harness.wait_until(lambda: label in self.call("GET", "/metrics/triton")[2], "no metric tells of version %d" % now)
        self.assert_done(self.group.client("removemodel", "5"))

    def test_the_client_asks_by_name(self):
        self.row("POST", "/models?url=m.mar&model_name=rose.v1", 200)
        version = int(json.loads(self.row("GET", "/models/rose.v1", 200))["modelVersion"])
        for asked in ("rose.v1", "rose.v1:%d" % version):
            self.assertIn("photo description:red\n", self.group.client("inference", asked, self.photo_file).out)
        self.assert_done(self.group.client("installmodel", "5", *self.good_model))
        both = self.group.client("inference", "5,rose.v1,5", self.photo_file)
        self.assertIn("photo description:red or red or red\n", both.out)
        for asked, word in (("tulip", "model tulip: "), ("5,tulip", "model tulip: "),
                            ("rose.v1:%d" % (version + 1), "model rose.v1: version %d is not found" % (version + 1)),
                            ("v2", '"v2" can be no model\'s name')):
            self.assert_refused(self.group.client("inference", asked, self.photo_file), word)
        self.assert_done(self.group.client("removemodel", "5"))

    def test_predict_with_bad_input(self):
        text = ("-F", "data=@%s;type=text/plain" % self.photo_file)
        for path, args, status, kind, word in (
                ("/1/predict", ("-F", "image=@" + self.photo_file), 400, "BadRequestException", "expecting a data_name of data"),
                ("/1/predict", text, 400, "BadRequestException", "MIME type text/plain, image/jpeg or image/png"),
                ("/predictions/1", text, 400, "BadRequestException", "MIME type text/plain"),
                ("/1/predict", ("-F", "data=@/dev/null;type=image/jpeg"), 400, "BadRequestException", "empty"),
                ("/1/predict", ("-F", "data=nonsense;type=image/jpeg"), 400, "BadRequestException", "JPEG"),
                ("/nobody/predict", self.sent(), 404, "ModelNotFoundException", "Model not found: nobody"),
                ("/predictions/nobody", ("-T", self.photo_file), 404, "ModelNotFoundException", "Model not found: nobody"),
                ("/predictions/1/7", ("-T", self.photo_file), 404, "ModelVersionNotFoundException",
                 "model '1': version 7 is not found, its version is 1"),
                ("/predictions/1/1.5", ("-T", self.photo_file), 404, "ModelVersionNotFoundException", "numbers from 1 on"),
                ("/predictions/1/.0", ("-T", self.photo_file), 404, "ModelVersionNotFoundException", "numbers from 1 on"),
                ("/predictions/1/0.0", ("-T", self.photo_file), 404, "ModelVersionNotFoundException", "numbers from 1 on"),
                ("/predictions/nobody/1.0", ("-T", self.photo_file), 404, "ModelNotFoundException", "Model not found: nobody"),
                ("/invocations", ("-T", self.photo_file), 400, "BadRequestException", "Parameter model_name is required."),
                ("/invocations?model_name=nobody", ("-T", self.photo_file), 404, "ModelNotFoundException", "Model not found: nobody"),
                ("/models/nobody/invoke", ("-T", self.photo_file), 404, "ModelNotFoundException", "Model not found: nobody"),
                ("/no/such/place", (), 404, "ResourceNotFoundException",
                 "Requested resource is not found, please refer to API document.")):
            self.row("POST", path, status, word, args=args, kind=kind)
        self.row("DELETE", "/predictions/1", 405, "Requested method is not allowed, please refer to API document.",
                 kind="MethodNotAllowedException")
        too_large = os.path.join(self.group.top, "large")
        with open(too_large, "wb") as out:
            out.truncate(65 << 20)
        self.row("POST", "/predictions/1", 413, "exceeds max_request_size=67108864", args=("-T", too_large))

    def test_register_and_its_answers(self):
        for query, status, word in (("", 200, 'Model \\"m\\" registered'), ("&initial_workers=0", 200, "registered"),
                                    ("&initial_workers=2", 202, "Processing worker updates..."),
                                    ("&initial_workers=1&synchronous=true", 200, "Workers scaled"),
                                    ("&batch_size=4&max_batch_delay=100&response_timeout=120&runtime=python3&handler=x:y&preload_model=true",
                                     200, "registered")):
            self.row("POST", "/models?url=m.mar" + query, status, word)
            self.row("GET", "/models/m", 200)
            self.row("DELETE", "/models/m", 200, 'Model \\"m\\" unregistered')
        self.row("POST", "/models", 200, "registered", args=("-d", "url=m.mar&model_name=form"))
        self.row("DELETE", "/models/form", 200)
        self.row("POST", "/models", 200, "registered", args=("-H", "Content-Type: application/json", "-d",
                                                             '{"url": "z.model", "initial_workers": 0, "synchronous": false}'))
        self.row("DELETE", "/models/z", 200)

    def test_register_refused(self):
        for query, status, kind, word in (
                ("", 400, "BadRequestException", "Parameter url is required."),
                ("?url=", 400, "InvalidModelException", "Parameter url must have 1 to 127 bytes."),
                ("?url=absent.mar", 404, "ModelNotFoundException", "Model not found in model store: absent.mar"),
                ("?url=../m.mar", 404, "ModelNotFoundException", "Relative path is not allowed in url: ../m.mar"),
                ("?url=http://127.0.0.1/m.mar", 404, "ModelNotFoundException", "Invalid model url: http://127.0.0.1/m.mar"),
                ("?url=empty.mar", 400, "InvalidModelException", "synset.txt"),
                ("?url=m.mar&runtime=cobol", 400, "BadRequestException", "Invalid RuntimeType value: cobol"),
                ("?url=m.mar&batch_size=x", 400, "BadRequestException", "Parameter batch_size must be an integer, got 'x'"),
                ("?url=m.mar&initial_workers=1.5", 400, "BadRequestException", "Parameter initial_workers must be an integer"),
                ("?url=m.mar&synchronous=perhaps", 400, "BadRequestException", "Parameter synchronous must be true or false"),
                ("?url=m.mar&replace=2", 400, "BadRequestException", "Parameter replace must be true or false"),
                ("?url=m.mar&model_name=models", 400, "BadRequestException", "cannot be a model's name"),
                ("?url=m.mar&model_name=1", 409, "ConflictStatusException", "Model 1 is already registered.")):
            self.row("POST", "/models" + query, status, word, kind=kind)
        self.row("PUT", "/models", 405, kind="MethodNotAllowedException")
        self.assertEqual([m["modelName"] for m in json.loads(self.row("GET", "/models", 200))["models"]], ["1"])

    def test_replaced_by_many_at_once(self):
        self.row("POST", "/models?url=m.mar&model_name=raced", 200, "registered")
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            replies = list(pool.map(lambda _: self.ask("POST", "/models?url=m.mar&model_name=raced&replace=true"), range(18)))
        for reply in replies:
            self.assertIn(reply.status, (200, 409), reply.body)
            if reply.status == 409:
                self.assertIn("another change of model raced came first; try again", reply.json["message"])
        self.row("DELETE", "/models/raced", 200, "unregistered")

    def test_replace(self):
        self.row("POST", "/models?url=m.mar", 200)
        self.row("POST", "/models?url=other.mar&model_name=m", 409)
        self.row("POST", "/predictions/m", 200, '"red"', args=("-T", self.photo_file))
        self.row("POST", "/models?url=empty.mar&model_name=m&replace=true", 400)
        self.row("POST", "/predictions/m", 200, '"red"', args=("-T", self.photo_file))
        self.row("POST", "/models?url=other.mar&model_name=m&replace=true", 200, "registered")
        self.row("POST", "/predictions/m", 200, '"rot"', args=("-T", self.photo_file))
        # v2's load of what is loaded is a reload
        status, _, body = self.call("POST", "/v2/repository/models/m/load")
        self.assertEqual(status, 200, body)
        self.row("POST", "/predictions/m", 200, '"red"', args=("-T", self.photo_file))
        self.assertEqual([m["modelName"] for m in json.loads(self.row("GET", "/models", 200))["models"]], ["1", "m"])
        self.row("DELETE", "/models/m", 200)

    def test_scale(self):
        for query, status, word in (("", 202, "Processing worker updates..."), ("?min_worker=1", 202, "Processing worker updates..."),
                                    ("?min_worker=1&max_worker=8&number_gpu=0&timeout=-1", 202, "Processing"),
                                    ("?min_worker=2&synchronous=true", 200, "Workers scaled"),
                                    ("?min_worker=0&max_worker=1", 202, "Processing")):
            self.row("PUT", "/models/1" + query, status, word)
        for query, word in (("?min_worker=3&max_worker=2", "max_worker cannot be less than min_worker."),
                            ("?min_worker=some", "Parameter min_worker must be an integer, got 'some'"),
                            ("?min_worker=0", "a registered model is always served; DELETE /models/1 ends that"),
                            ("?synchronous=7", "Parameter synchronous must be true or false")):
            self.row("PUT", "/models/1" + query, 400, word, kind="BadRequestException")
        self.row("PUT", "/models/nobody", 404, "Model not found: nobody", kind="ModelNotFoundException")

    def test_list_and_describe(self):
        names = ["page%d" % k for k in range(3)]
        for name in names:
            self.row("POST", "/models?url=m.mar&model_name=" + name, 200)
        page = json.loads(self.row("GET", "/models?limit=2", 200))
        self.assertEqual(page["nextPageToken"], "2")
        self.assertEqual([sorted(m)[:2] for m in page["models"]], [["modelName", "modelUrl"]] * 2)
        page = json.loads(self.row("GET", "/models?limit=2&next_page_token=2", 200))
        self.assertEqual(([m["modelName"] for m in page["models"]], "nextPageToken" in page), (names[1:], False))
        self.assertEqual(json.loads(self.row("GET", "/models?next_page_token=99", 200))["models"], [])
        self.row("GET", "/models?limit=x", 400, "Parameter limit must be an integer, got 'x'")
        self.row("GET", "/models?next_page_token=-1", 400, "Parameter next_page_token must be an integer")
        told = json.loads(self.row("GET", "/models/page0", 200))
        for key in ("modelName", "modelVersion", "modelUrl", "engine", "runtime", "minWorkers", "maxWorkers", "batchSize",
                    "maxBatchDelay", "loadedAtStartup", "workers"):
            self.assertIn(key, told)
        for key in ("id", "status", "gpu", "memoryUsage"):
            self.assertIn(key, told["workers"][0])
        self.assertEqual(told["workers"][0]["status"], "READY")
        self.row("GET", "/models/nobody", 404, "Model not found: nobody", kind="ModelNotFoundException")
        for name in names:
            self.row("DELETE", "/models/" + name, 200)
        self.row("DELETE", "/models/page0", 404, "Model not found: page0", kind="ModelNotFoundException")


class OnlyModel(HttpCase):
    """Model Server 0.4's shapes alone, and a node that loads one model at start."""

    OPTIONS = (*HttpCase.OPTIONS, "--CLIENTS/compat", "0.4", "--CLIENTS/load_models", "only=m.mar")

    @classmethod
    def setUpClass(cls):
        start_node = harness.Group.start_node

        def with_a_model(group, k, *args, **kwargs):
            if k == 0:
                os.makedirs(os.path.join(group.folder(0), "store"), exist_ok=True)
                with open(os.path.join(group.folder(0), "store", "m.mar"), "wb") as out:
                    out.write(archive(model_entries()))
            return start_node(group, k, *args, **kwargs)
        harness.Group.start_node = with_a_model
        try:
            super().setUpClass()
        finally:
            harness.Group.start_node = start_node

    def test_it_is_meant_where_none_is_named(self):
        harness.wait_until(lambda: self.ask("GET", "/v2/models/only/ready").status == 200, "not loaded")
        self.assertEqual(self.ask("POST", "/invocations", self.red).status, 200)

    def test_the_shapes_of_0_4(self):
        for path in ("/ping", "/"):
            self.assertEqual(self.ask("GET", path).json, {"health": "healthy!"})
        told = self.ask("GET", "/api-description").json["description"]
        self.assertEqual((told["swagger"], sorted(told["paths"])), ("2.0", ["/ping", "/{model_name}/predict"]))
        reply = self.ask("POST", "/predictions/1", tiny_model.png(tiny_model.RED))
        self.assertEqual(reply.json["prediction"][0][0]["class"], "red")


if __name__ == "__main__":
    harness.main()
