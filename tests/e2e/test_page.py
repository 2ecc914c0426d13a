#!/usr/bin/env python3
"""The page at / in a headless Chromium: what it shows, that it follows the group, that a keyboard is enough.

    test_page.py NEXUS --screenshots DIR    makes the two pictures of docs/ instead
"""

import hashlib
import http.client
import os
import sys
import threading

import browser
import harness
from harness import GroupCase

if not browser.find():
    print("SKIP: no chromium (package chromium): the page is not looked at")
    sys.exit(77)


class PageCase(GroupCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            cls.page = browser.Browser(harness.WAIT_S)
        except BaseException:
            super().tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.page.close()
        super().tearDownClass()

    def open(self):
        del self.page.events[:]
        self.page.open("http://%s/" % self.group.address())
        self.page.wait("!!document.querySelector('#members tbody tr')")

    def text(self, selector):
        return self.page.run("document.querySelector(%r).innerText" % selector)


class Page(PageCase):
    NODES = 4

    def test_the_policy_lets_nothing_else_in(self):
        host, port = self.group.address().split(":")
        for path, kind in (("/", "text/html"), ("/nexus", "text/html"), ("/nexus/page.css", "text/css"),
                           ("/nexus/page.js", "text/javascript")):
            connection = http.client.HTTPConnection(host, int(port), timeout=harness.WAIT_S)
            self.addCleanup(connection.close)
            connection.request("GET", path)
            reply = connection.getresponse()
            body = reply.read().decode()
            self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, kind + "; charset=utf-8"))
            policy = reply.headers["Content-Security-Policy"]
            self.assertTrue(policy.startswith("default-src 'none';"), policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(reply.headers["X-Content-Type-Options"], "nosniff")
            self.assertNotIn("https:", body)
            self.assertNotIn("innerHTML", body)

    def test_it_shows_the_group_and_asks_nobody_else(self):
        self.open()
        self.assertEqual(self.text("#ready"), "ready")
        self.assertEqual(self.page.run("document.querySelectorAll('#members tbody tr').length"), 4)
        self.assertIn("✓ alive", self.text("#members tbody tr:nth-child(3)"))
        self.assertIn("2 of 2", self.text("#shards tbody tr:nth-child(2)"))
        self.assertIn("nodes 2, 3", self.text("#models tbody tr"))
        self.assertIn("the group formed", self.text("#views tbody tr"))
        self.page.wait("document.querySelector('#rate').textContent != '–'")
        self.assertTrue(self.page.requests())
        for url in self.page.requests():
            self.assertTrue(url.startswith(("http://%s/" % self.group.address(), "data:,")), url)
        self.assertEqual(self.page.complaints(), [])

    def test_rates_and_latencies_follow_the_traffic(self):
        self.open()
        self.page.wait("document.querySelector('#rate').textContent != '–'")
        for _ in range(3):
            self.assert_serving()
        self.page.wait("points.some(p => p.rate > 0 && p.p50 > 0 && p.p99 >= p.p50)")
        self.page.wait("document.querySelector('#rate-plot path').getAttribute('d').length > 10")
        self.assertIn("photos per second", self.page.run("document.querySelector('#rate-plot').ariaLabel"))

    def test_a_photo_is_answered(self):
        self.open()
        self.page.wait("document.querySelector('#model').value === '1'")
        self.page.choose_file("#photo", self.photo)
        self.page.wait("document.querySelectorAll('#answer li').length > 0")
        self.assertTrue(self.text("#answer li").startswith("red — "), self.text("#answer"))
        self.assertIn("%", self.text("#answer li"))
        logits = "categories([{class: 'a', probability: 8.5}, {class: 'b', probability: -1}])"
        self.assertEqual(self.page.run(logits + ".textContent"), "a — 8.500b — -1.000")  # no share of anything
        self.page.wait("document.querySelector('#answer img').naturalWidth > 0")
        self.page.choose_file("#photo", self.file("torn.jpg", b"\xff\xd8\xff torn"))
        self.page.wait("document.querySelector('#answer').innerText.includes('Not answered: ')")
        self.assertEqual([c for c in self.page.complaints() if "400" not in str(c)], [])

    def test_a_dropped_photo_is_answered(self):
        self.open()
        self.page.wait("document.querySelector('#model').value === '1'")
        with open(self.photo, "rb") as file:
            data = list(file.read())
        self.page.run("""(() => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([new Uint8Array(%s)], "red.png", {type: "image/png"}));
            document.querySelector("#drop").dispatchEvent(
                new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true}));
        })()""" % data)
        self.page.wait("(document.querySelector('#answer li') || {innerText: ''}).innerText.startsWith('red')")

    def test_a_keyboard_is_enough(self):
        self.open()
        seen = []
        for _ in range(10):
            self.page.press("Tab")
            seen.append(self.page.run("document.activeElement.id || document.activeElement.className"))
        self.assertEqual(seen[:2], ["skip", "pause"])
        self.assertEqual([name for name in seen if name in ("model", "photo")], ["model", "photo"])
        self.page.run("document.querySelector('#pause').focus()")
        self.page.press("Enter")
        self.assertEqual(self.page.run("document.querySelector('#pause').getAttribute('aria-pressed')"), "true")

    def test_a_screen_reader_finds_names(self):
        self.open()
        tree = self.page.call("Accessibility.getFullAXTree")["nodes"]
        nameless = []
        for node in tree:
            role = node.get("role", {}).get("value")
            if role in ("button", "combobox", "image", "region", "table", "main", "heading", "link") and \
                    not node["ignored"] and role not in ("main", "table") and not node.get("name", {}).get("value"):
                nameless.append(node)
        self.assertEqual(nameless, [])
        headings = [n["name"]["value"] for n in tree if n.get("role", {}).get("value") == "heading"]
        self.assertEqual(len(headings), 9, headings)

    def test_rows_have_headers_and_plots_round_steps(self):
        self.open()
        for table in ("members", "shards", "models", "views"):
            row = "document.querySelector('#%s tbody tr')" % table
            self.page.wait(row + " !== null")
            self.assertEqual(self.page.run(row + ".cells[0].tagName + ' ' + " + row + ".cells[0].scope"), "TH row", table)
        self.assertEqual(self.page.run("[1, 1.9, 2.5, 35, 43, 99, 101, 5000].map(round).join()"), "1,2,4,40,100,100,200,10000")
        self.page.run("points.push({rate: 1, failures: 0, p50: 5, p99: 9, vid: 1}, {rate: 2, failures: 0, p50: 5, p99: 9, vid: 2}), "
                      "plot('rate-plot', ['rate'], String, 2)")
        self.assertIn("view 2", self.page.run("document.querySelector('#rate-plot').textContent"))
        self.assertIn("ready", self.page.run("document.title"))

    def test_light_and_dark_can_be_read(self):
        """WCAG's contrast of each text against what is behind it, at least 4.5."""
        script = """(() => {
            const lum = c => c.match(/[\\d.]+/g).slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 :
                ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
            const behind = e => { for (; e; e = e.parentElement) {
                const b = getComputedStyle(e).backgroundColor; if (b !== "rgba(0, 0, 0, 0)") return b; } };
            return Math.min(...[...document.querySelectorAll("dt, dd, th, td, h1, h2, p, label, button")]
                .filter(e => e.innerText).map(e => { const a = lum(getComputedStyle(e).color), b = lum(behind(e));
                    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }));
        })()"""
        backs = []
        for scheme in ("light", "dark"):
            self.page.colours(scheme)
            self.open()
            self.assertGreaterEqual(self.page.run(script), 4.5, scheme)
            backs.append(self.page.run("getComputedStyle(document.body).backgroundColor"))
        self.assertNotEqual(*backs)

    def test_names_from_outside_stay_text(self):
        self.open()
        self.page.run("""(() => { clearTimeout(timer); paused = true;
            const s = structuredClone(before); s.changes.push({...s.changes[0], cause: "<img src=x onerror=hurt=1>"});
            s.members[0].host = "<b>x</b>"; show(s); })()""")
        self.assertIn("<img src=x", self.text("#views tbody tr"))
        self.assertIn("<b>x</b>", self.text("#members tbody tr"))
        self.assertEqual(self.page.run("document.querySelectorAll('td img, td b').length"), 0)


class Locked(PageCase):
    """A node that wants tokens: the page asks for one, keeps it in the tab, and forgets it."""

    OPEN = "(document.querySelector('#login') || {hidden: true}).hidden === false"
    SECRETS = {"observe": "look-at-it", "infer": "ask-it", "infer,observe": "do-both"}

    @classmethod
    def setUpClass(cls):
        start_node, client = harness.Group.start_node, harness.Group.client

        def with_tokens(group, k, *args, **kwargs):
            lines = ["%s %s sha256:%s" % (secret, scopes, hashlib.sha256(secret.encode()).hexdigest())
                     for scopes, secret in (*cls.SECRETS.items(), ("manage,infer", "boss"))]
            for name, text in (("tokens", "\n".join(lines) + "\n"), ("boss", "boss\n")):
                path = os.path.join(group.folder(k), name)
                with open(path, "w") as out:
                    out.write(text)
                os.chmod(path, 0o600)
            return start_node(group, k, "--CLIENTS/tokens", "tokens", *args, **kwargs)
        harness.Group.start_node = with_tokens
        harness.Group.client = lambda group, *args, **kwargs: client(
            group, *args, "--token", os.path.join(group.folder(0), "boss"), **kwargs)
        cls.addClassCleanup(setattr, harness.Group, "client", client)
        try:
            super().setUpClass()
        finally:
            harness.Group.start_node = start_node

    def give(self, token):
        self.page.wait(self.OPEN)
        self.page.run("document.querySelector('#token').value = %r" % token)
        self.page.run("document.querySelector('#token').focus()")
        self.page.press("Enter")

    def test_a_token_opens_the_page_until_it_is_forgotten(self):
        del self.page.events[:]
        self.page.open("http://%s/" % self.group.address())
        self.page.wait(self.OPEN)
        self.assertEqual(self.page.run("document.activeElement.id"), "token")  # and a keyboard is there at once
        self.assertIn("a token is needed", self.text("#alert"))
        self.assertEqual(self.text("#ready"), "locked")
        asked = len(self.page.requests())
        self.give("guess")
        self.page.wait("document.querySelector('#alert').innerText.includes('does not know that token')")
        self.give(self.SECRETS["infer"])
        self.page.wait("document.querySelector('#alert').innerText.includes('lacks the scope')")
        self.assertEqual(len(self.page.requests()), asked + 2)  # locked, it does not go on asking
        self.give(self.SECRETS["infer,observe"])
        self.page.wait("document.querySelectorAll('#members tbody tr').length === 2")
        self.page.wait("document.querySelector('#login').hidden && document.querySelector('#alert').hidden")
        self.assertEqual(self.page.run("document.activeElement.id"), "main")
        self.page.wait("document.querySelector('#model').value === '1'")
        self.page.choose_file("#photo", self.photo)
        self.page.wait("document.querySelectorAll('#answer li').length > 0")
        self.assertEqual(self.page.run("[Object.keys(sessionStorage).join(), localStorage.length, document.cookie].join('|')"),
                         "nexus-token|0|")
        self.page.open("http://%s/" % self.group.address())  # the same tab
        self.page.wait("document.querySelectorAll('#members tbody tr').length === 2")
        self.page.run("document.querySelector('#forget').focus()")
        self.page.press("Enter")
        self.page.wait("!document.querySelector('#login').hidden && document.querySelector('#forget').hidden")
        self.assertEqual(self.page.run("sessionStorage.length"), 0)
        for url in self.page.requests():
            self.assertNotIn(self.SECRETS["infer,observe"], url)
        allowed = ("401", "403")
        self.assertEqual([c for c in self.page.complaints() if not any(a in str(c) for a in allowed)], [])

    def test_who_may_not_ask_is_told_so(self):
        self.page.open("http://%s/" % self.group.address())
        self.give(self.SECRETS["observe"])
        self.page.wait("document.querySelector('#model').value === '1'")
        self.page.choose_file("#photo", self.photo)
        self.page.wait("document.querySelector('#answer').innerText.includes('lacks the scope')")
        self.page.run("document.querySelector('#forget').click()")
        self.page.wait(self.OPEN)

    def test_the_field_has_a_name(self):
        self.page.open("http://%s/" % self.group.address())
        self.page.wait(self.OPEN)
        names = {(n["role"]["value"], n.get("name", {}).get("value")) for n in self.page.call("Accessibility.getFullAXTree")["nodes"]
                 if not n["ignored"]}
        self.assertIn(("textbox", "Token with the scope observe, and infer for photos"), names)
        self.assertIn(("button", "Show it to this node"), names)
        self.assertIn(("form", "Token"), names)


class Change(PageCase):
    NODES = 4

    def tearDown(self):
        pass

    def test_a_death_is_seen_as_it_happens_and_so_is_the_nodes_own(self):
        self.open()
        self.group.nodes[3].kill()
        self.page.wait("document.querySelector('#vid').textContent === '2'")
        self.page.wait("document.querySelectorAll('#members tbody tr').length === 3")
        self.assertIn("node 3 failed", self.text("#views tbody tr"))
        self.assertIn("node 3 failed", self.page.run("document.querySelector('#news').textContent"))
        self.group.nodes[0].kill()
        self.page.wait("!document.querySelector('#alert').hidden")
        self.assertEqual(self.text("#ready"), "no answer")

    @classmethod
    def tearDownClass(cls):
        cls.page.close()
        cls.group.close()
        cls.files.cleanup()


def take_screenshots(folder):
    """Four nodes, the flowers, a client that asks without pause, a death, and a photo."""
    from PIL import Image
    flowers = os.path.join(harness.ROOT, "models", "flowers")
    group = harness.Group(6)
    page = None
    stop = threading.Event()
    try:
        group.start()
        files = [os.path.join(flowers, name) for name in ("synset.txt", "flowers-symbol.json", "flowers-0000.params")]
        for tag in ("1", "2"):
            answer = group.client("installmodel", tag, *files)
            if answer.code:
                raise AssertionError(answer.story)
        photo = os.path.join(flowers, "photos", "rose.jpg")
        with open(photo, "rb") as file:
            data = file.read()

        def load(seed):
            host, port = group.address().split(":")
            connection, i = http.client.HTTPConnection(host, int(port), timeout=harness.WAIT_S), seed
            while not stop.wait(0.01 + 0.02 * (i * i % 7)):
                connection.request("POST", "/predictions/%d" % (1 + i % 2), data)
                connection.getresponse().read()
                i += 1

        clients = [threading.Thread(target=load, args=(i,), daemon=True) for i in range(2)]
        page = browser.Browser(harness.WAIT_S, 1280, 1064)
        page.colours("light")
        page.open("http://%s/" % group.address())
        for client in clients:
            client.start()
        page.wait("typeof points === 'object' && points.length > 25")
        group.nodes[5].kill()
        page.wait("document.querySelector('#vid').textContent === '2'")
        page.wait("points.length > 45")
        page.choose_file("#photo", photo)
        page.wait("document.querySelectorAll('#answer li').length > 0")
        for scheme in ("light", "dark"):
            path = os.path.join(folder, "page-%s.png" % scheme)
            page.colours(scheme)
            page.screenshot(path)
            with Image.open(path) as picture:
                picture.quantize(128).save(path, optimize=True)
    finally:
        stop.set()
        if page:
            page.close()
        group.close()


if __name__ == "__main__":
    if "--screenshots" in sys.argv:
        harness._nexus = os.path.abspath(sys.argv[1])
        harness.WAIT_S = 90
        take_screenshots(sys.argv[-1])
    else:
        harness.main()
