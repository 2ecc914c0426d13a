#!/usr/bin/env python3
"""Four nodes: two function tier, two replicas. Six: two function tier, two shards of two replicas."""

import concurrent.futures

import harness
import tiny_model
from harness import GroupCase, Wire


class FourNodes(GroupCase):
    NODES = 4

    def test_every_function_tier_node_sees_an_install_at_once(self):
        for here, there in ((0, 1), (1, 0)):
            for _ in range(5):
                self.assert_done(self.group.client("installmodel", "2", *self.good_model, node=here))
                self.assert_says("red", self.group.client("inference", "2", self.photo, node=there))
                self.assert_refused_by_return_code(
                    self.group.client("installmodel", "2", *self.good_model, node=there), "tag 2")
                self.assert_done(self.group.client("removemodel", "2", node=there))
                self.assert_refused(self.group.client("inference", "2", self.photo, node=here), "tag 2")

    def test_a_bad_model_is_on_no_replica(self):
        bad = self.model("bad", params=dict(tiny_model.spoiled_params())["a shape mismatch"])
        for node in (0, 1):
            self.assert_refused_by_return_code(
                self.group.client("installmodel", "2", *bad, node=node))
            for _ in range(4):
                self.assert_refused(self.group.client("inference", "2", self.photo, node=node), "tag 2")

    def test_installs_of_one_tag_from_both_sides_have_one_winner(self):
        models = [(tiny_model.synset(names), tiny_model.symbol(), tiny_model.params())
                  for names in (tiny_model.COLOURS, tiny_model.FLOWERS)]

        def install(node):
            with Wire(self.group.address(node)) as calls:
                return calls.install(2, *models[node])[0]
        for _ in range(5):
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                codes = list(pool.map(install, (0, 1)))
            self.assertEqual(codes.count(0), 1, codes)
            winner = ("red", "rose")[codes.index(0)]
            for _ in range(4):  # on every replica the same one
                for node in (0, 1):
                    self.assert_says(winner, self.group.client("inference", "2", self.photo, node=node))
            self.assert_done(self.group.client("removemodel", "2"))


class SixNodes(GroupCase):
    NODES = 6

    def test_tags_of_both_shards(self):
        flowers = self.model("flowers", synset=tiny_model.synset(tiny_model.FLOWERS))
        self.assert_done(self.group.client("installmodel", "2", *flowers, node=1))
        for node in (0, 1):
            self.assert_says("red or rose", self.group.client("inference", "1,2", self.photo, node=node))
            self.assert_says("rose or red", self.group.client("inference", "2,1", self.photo, node=node))
            self.assert_says("rose", self.group.client("inference", "2", self.photo, node=node))
        self.assert_done(self.group.client("removemodel", "2"))
        self.assert_refused(self.group.client("inference", "1,2", self.photo), "tag 2")

    def test_many_tags_in_many_shards(self):
        tags = [str(tag) for tag in range(10, 18)]
        for tag in tags:
            self.assert_done(self.group.client("installmodel", tag, *self.good_model))
        green = self.file("green.png", tiny_model.png(tiny_model.GREEN))
        answer = self.group.client("inference", ",".join(tags), green)
        self.assert_says(" or ".join(["green"] * len(tags)), answer)
        for tag in tags:
            self.assert_done(self.group.client("removemodel", tag))


if __name__ == "__main__":
    harness.main()
