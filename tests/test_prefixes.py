"""The tree of prefixes, and the key of a prefix: who shares what, and under which name."""

from __future__ import annotations

from hashlib import blake2b
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.prefixes import KEY_TAG, SETTINGS, PrefixTree, Scope
from cacheplan.prompt import Block, Level

SCOPE = Scope("claude-opus-5-5", "anthropic", "messages", "w")


def block(name: str, level: Level = Level.MESSAGES, **more: object) -> Block:
    """Make a block whose digest is made from its name."""
    digest = blake2b(name.encode(), digest_size=16).digest()
    plain = Block(level=level, kind="text", digest=digest, tokens=len(name))
    return Block(**{**{key: getattr(plain, key) for key in plain.__struct_fields__}, **more})


def grown(tree: PrefixTree, *names: str, scope: Scope = SCOPE) -> int:
    """Return the prefix of these blocks."""
    return tree.extend(tree.root(scope), [tree.intern(block(name)) for name in names])


#: Paths over few blocks, so that they share often.
paths = st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=8)


class TestSharing:
    """``Two calls share exactly the nodes their paths have in common``."""

    @given(paths)
    def test_there_is_a_node_for_each_distinct_prefix(self, drawn: list[list[str]]) -> None:
        """The tree is as large as the set of distinct prefixes, whatever was repeated."""
        tree = PrefixTree()
        tips = [grown(tree, *path) for path in drawn for _ in range(2)]
        tree.measure()
        tree.check()
        distinct = {tuple(path[:length]) for path in drawn for length in range(len(path) + 1)}
        assert len(tree) == len(distinct)
        assert tips[::2] == tips[1::2]

    @given(paths)
    def test_common_nodes_are_the_common_beginning(self, drawn: list[list[str]]) -> None:
        """Two paths meet in as many nodes as their block lists agree from the start."""
        tree = PrefixTree()
        known = [(path, tree.path(grown(tree, *path))) for path in drawn]
        for one, nodes in known:
            for other, others in known:
                same = [a == b for a, b in zip(one, other, strict=False)]
                agree = same.index(False) if False in same else len(same)
                assert [a == b for a, b in zip(nodes, others, strict=False)] == (
                    [True] * agree + [False] * (len(same) - agree)
                )

    @given(paths)
    def test_extending_is_going_block_by_block(self, drawn: list[list[str]]) -> None:
        """``extend`` ends where ``child`` after ``child`` does."""
        tree = PrefixTree()
        for path in drawn:
            node = tree.root(SCOPE)
            for name in path:
                node = tree.child(node, tree.intern(block(name)))
            assert grown(tree, *path) == node

    @given(
        st.lists(
            st.lists(
                st.builds(
                    Block,
                    level=st.sampled_from(Level),
                    kind=st.sampled_from(["text", SETTINGS]),
                    digest=st.sampled_from([b"a", b"b"]),
                    refuses=st.sampled_from(["", "", "blank"]),
                ),
                max_size=14,
            ),
            max_size=5,
        )
    )
    def test_many_at_once_are_as_one_by_one(self, drawn: list[list[Block]]) -> None:
        """However a path is laid, every prefix is the same and the same is known of it."""
        many, single = PrefixTree(), PrefixTree()
        for blocks in drawn:
            path = sorted(blocks, key=lambda block: block.level)
            kinds = [hash((one.level, one.kind, one.refuses)) for one in path]
            node = single.root(SCOPE)
            for one, kind in zip(path, kinds, strict=True):
                node = single.child(node, single.intern(one, kind))
            numbers = [many.intern(one, kind) for one, kind in zip(path, kinds, strict=True)]
            assert many.extend(many.root(SCOPE), numbers) == node
        many.check()
        assert vars(many) == vars(single)

    @given(paths, paths)
    def test_a_copy_goes_on_by_itself(self, drawn: list[list[str]], more: list[list[str]]) -> None:
        """A fork begins as the tree is, and neither hears of what the other gets."""
        tree, twin = PrefixTree(), PrefixTree()
        for path in drawn:
            grown(tree, *path)
            grown(twin, *path)
        tree.derived["seen"] = [1]
        fork = tree.fork()
        assert fork.derived == tree.derived
        tree.derived.clear()
        fork.derived["seen"].append(2)
        for path in more:
            grown(fork, *path)
        assert vars(tree) == vars(twin)
        for path in more:
            grown(tree, *path)
        fork.derived.clear()
        assert vars(tree) == vars(fork)

    def test_a_path_leads_down_and_up_alike(self) -> None:
        """``path`` names the prefixes from the shortest, ``upward`` from the longest."""
        tree = PrefixTree()
        tip = grown(tree, "a", "b", "c")
        assert tree.path(tip) == list(tree.upward(tip))[::-1] == [1, 2, 3]
        assert tree.path(tree.root(SCOPE)) == []

    def test_a_block_of_two_lengths_is_two_blocks(self) -> None:
        """One text under two tokenizers has one digest and two numbers."""
        tree = PrefixTree()
        assert tree.intern(block("a")) == tree.intern(block("a"))
        assert tree.intern(block("a"), 1) != tree.intern(block("a"))


class TestLengths:
    """What is known of a prefix beside who shares it."""

    @given(st.lists(st.text("xy", min_size=1, max_size=5), max_size=8))
    def test_lengths_add_up(self, names: list[str]) -> None:
        """A prefix is as long as its blocks together, and as doubtful."""
        tree = PrefixTree()
        tip = grown(tree, *names)
        tree.error = [2] * len(tree.kind)
        tree.measure()
        nodes = tree.path(tip)
        assert [tree.tokens[node] for node in nodes] == list(accumulate(map(len, names)))
        assert [tree.doubt[node] for node in nodes] == [2 * n for n in range(1, len(nodes) + 1)]

    def test_a_new_voice_costs_a_frame(self) -> None:
        """Where another role begins to speak, the service's own tokens are added."""
        tree = PrefixTree()
        tree.turn = 3
        blocks = [
            block(name, role=role) for name, role in (("a", ""), ("b", "user"), ("c", "user"))
        ]
        tip = tree.extend(tree.root(SCOPE), map(tree.intern, blocks))
        assert [tree.own(node) for node in tree.path(tip)] == [1, 4, 1]
        assert tree.own(tree.root(SCOPE)) == 0

    def test_levels_end_where_their_last_block_is(self) -> None:
        """Each prefix knows the last tool and the last system block on its way."""
        tree = PrefixTree()
        levels = [Level.TOOLS, Level.TOOLS, Level.SYSTEM, Level.MESSAGES]
        blocks = [tree.intern(block(str(level), level)) for level in levels]
        blocks.insert(0, tree.settings(Level.TOOLS, b"x"))
        tip = tree.extend(tree.root(SCOPE), blocks)
        path = tree.path(tip)
        assert (tree.tools_end[tip], tree.system_end[tip]) == (path[2], path[3])
        assert (tree.tools_end[path[0]], tree.system_end[path[2]]) == (-1, -1)

    def test_a_mark_goes_to_the_last_block_that_takes_one(self) -> None:
        """Settings and blocks that refuse are passed over; where all do, there is none."""
        tree = PrefixTree()
        marked = grown(tree, "a")
        refusing = tree.intern(block("b", refuses="thinking"))
        tip = tree.extend(marked, [refusing, tree.settings(Level.MESSAGES, b"x")])
        assert tree.markable(tip) == marked
        assert tree.markable(tree.child(tree.root(SCOPE), refusing)) == -1


def published(scope: Scope, *digests: bytes) -> bytes:
    """Compute a key as the documentation says, independently of the tree."""
    parts = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in scope)
    key = blake2b(b"cacheplan.prefix/1" + parts, digest_size=16).digest()
    for digest in digests:
        key = blake2b(key + digest, digest_size=16).digest()
    return key


class TestKey:
    """The key of a prefix is a published contract, ``cacheplan.prefix/1``."""

    @given(st.lists(st.sampled_from("abc"), max_size=5))
    def test_the_key_is_what_the_documentation_says(self, names: list[str]) -> None:
        """Tag, scope and each block's digest, hashed one into the other."""
        tree = PrefixTree()
        tip = grown(tree, *names)
        assert tree.key(tip) == published(SCOPE, *(block(name).digest for name in names))

    def test_the_key_stays(self) -> None:
        """A key never changes, for it is stored; the tag in it says how it was made."""
        tree = PrefixTree()
        assert KEY_TAG == b"cacheplan.prefix/1"
        assert tree.key(grown(tree, "a", "b")).hex() == "20fb892a5fb2664888b4b43d1d40728d"

    @pytest.mark.parametrize("field", Scope._fields)
    def test_a_part_of_the_scope_takes_part(self, field: str) -> None:
        """Model, platform, surface and isolation each part whole trees."""
        tree = PrefixTree()
        other = SCOPE._replace(**{field: "other"})
        assert tree.key(grown(tree, "a", scope=other)) != tree.key(grown(tree, "a"))
        assert len(tree.roots) == 2

    def test_parts_of_the_scope_do_not_run_together(self) -> None:
        """Where one part ends and the next begins is in the key."""
        tree = PrefixTree()
        one, other = (
            SCOPE._replace(model="ab", platform="c"),
            SCOPE._replace(model="a", platform="bc"),
        )
        assert tree.key(tree.root(one)) != tree.key(tree.root(other))

    @pytest.mark.parametrize("names", ["b", "ab", "aa", ""])
    def test_every_block_and_their_order_take_part(self, names: str) -> None:
        """Another block, one more, one twice and none at all are other prefixes."""
        tree = PrefixTree()
        assert tree.key(grown(tree, *names)) != tree.key(grown(tree, "a"))
        assert tree.key(grown(tree, *"ba")) != tree.key(grown(tree, *"ab"))

    @pytest.mark.parametrize("level", Level)
    def test_settings_take_part_at_their_level(self, level: Level) -> None:
        """What is set is a block in the key, told apart by its content and its level."""
        tree = PrefixTree()
        root = tree.root(SCOPE)
        keys = {
            tree.key(tree.child(root, tree.settings(*gate)))
            for gate in ((level, b"x"), (level, b"y"), (Level((level + 1) % 3), b"x"))
        }
        assert len(keys) == 3
        gate = tree.settings(level, b"x")
        assert (tree.kind[gate], tree.refuses[gate]) == (SETTINGS, SETTINGS)

    def test_what_is_not_set_takes_no_part(self) -> None:
        """Tokens that the service adds by itself lengthen a prefix and leave its key alone."""
        tree = PrefixTree()
        root = tree.root(SCOPE)
        gates = [tree.settings(Level.TOOLS, b"", tokens) for tokens in (7, 8)]
        assert gates[0] != gates[1]
        assert {tree.key(tree.child(root, gate)) for gate in gates} == {tree.key(root)}

    def test_lengths_take_no_part(self) -> None:
        """How long a block is counted to be, and as which number, is not in its key."""
        tree = PrefixTree()
        root = tree.root(SCOPE)
        one = tree.child(root, tree.intern(block("a")))
        other = tree.child(root, tree.intern(block("a", tokens=99), 1))
        assert one != other
        assert tree.key(one) == tree.key(other)

    def test_keys_do_not_depend_on_what_else_was_read(self) -> None:
        """A prefix has its key whichever others stand in the tree, before it or after."""
        one, other = PrefixTree(), PrefixTree()
        grown(other, "c", "d")
        assert one.key(grown(one, "a", "b")) == other.key(grown(other, "a", "b"))


class TestCheck:
    """``check`` asserts what always holds."""

    @pytest.mark.parametrize(
        ("field", "what"),
        [("parent", "older"), ("tokens", "not shorter"), ("block", "neither parent nor block")],
    )
    def test_a_spoilt_tree_is_noticed(self, field: str, what: str) -> None:
        """A tree in which a list was tampered with does not pass."""
        tree = PrefixTree()
        tip = grown(tree, "a", "b")
        tree.measure()
        tree.check()
        getattr(tree, field)[tip] = {"parent": tip, "tokens": -1, "block": -1}[field]
        with pytest.raises(AssertionError, match=what):
            tree.check()

    def test_levels_only_go_down(self) -> None:
        """A tool after a message is no prompt."""
        tree = PrefixTree()
        blocks = [tree.intern(block(str(level), level)) for level in (Level.MESSAGES, Level.TOOLS)]
        tree.extend(tree.root(SCOPE), blocks)
        with pytest.raises(AssertionError, match="only go down"):
            tree.check()
