"""Plug-in files: told apart by place and content, and the same in every process."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from lowshot import plugins
from lowshot.benchmark.part_fingerprints import code_of, generator_fingerprint
from lowshot.errors import InputError
from lowshot.files import file_fingerprint
from lowshot.parallel.engines import Engine
from lowshot.parallel.scheduler import run_tasks
from lowshot.plugins import import_plugin, imported_plugins, packed, plugin_of, unpacked
from lowshot.registry import GENERATORS, LOSSES
from tests.parallel.tasks import Add

PART = """
    from lowshot.registry import GENERATORS

    @GENERATORS.register("{name}", "a part of a plug-in file, for a test")
    class Part:
        says = {says!r}
        def run(self):
            return self.says
"""


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Forget what a test imports: other processes would import it as well."""
    before = imported_plugins()
    yield
    for plugin in imported_plugins():
        if plugin not in before:
            plugins._forget(plugin)


def write(path: Path, name: str, says: str) -> Path:
    """A plug-in that registers one part, which says something."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(PART.format(name=name, says=says)))
    return path


def said(name: str) -> str:
    return str(GENERATORS.build(name).run())


def test_a_plugin_file_registers_its_parts_once(tmp_path: Path) -> None:
    plugin = tmp_path / "my_loss.py"
    code = """
        from lowshot.registry import LOSSES
        from lowshot.representation.losses import AuxiliaryLoss

        @LOSSES.register("plugin_test_loss", "mean score, for a test")
        class MeanScore(AuxiliaryLoss):
            def formula(self, features, scores, labels, classifier_weight):
                return scores.mean()
    """
    plugin.write_text(textwrap.dedent(code))
    module = import_plugin(plugin)
    assert LOSSES.get("plugin_test_loss").__name__ == "MeanScore"
    assert LOSSES.entry("plugin_test_loss").source == f"MeanScore in {plugin}"
    assert import_plugin(tmp_path / "." / "my_loss.py") is module
    assert [one.path for one in imported_plugins()].count(plugin) == 1


def test_two_files_of_one_name_are_two_plugins(tmp_path: Path) -> None:
    import_plugin(write(tmp_path / "a" / "idea.py", "stem_a", "first"))
    import_plugin(write(tmp_path / "b" / "idea.py", "stem_b", "second"))
    assert (said("stem_a"), said("stem_b")) == ("first", "second")
    parts = [GENERATORS.build(name) for name in ("stem_a", "stem_b")]
    assert [unpacked(packed(part)).run() for part in parts] == ["first", "second"]


def test_an_edited_file_takes_effect(tmp_path: Path) -> None:
    plugin = write(tmp_path / "edited.py", "edited_name", "old")
    import_plugin(plugin)
    old = GENERATORS.build("edited_name")
    # Of the same size and, on most disks, of the same second: compiled bytes of the old text would be taken for it.
    import_plugin(write(plugin, "edited_name", "new"))
    assert said("edited_name") == "new"
    assert old.run() == unpacked(packed(old)).run() == "old"
    import_plugin(write(plugin, "edited_name", "old"))
    assert said("edited_name") == "old"
    import_plugin(write(plugin, "other_name", "old"))
    assert "edited_name" not in GENERATORS
    assert "other_name" in GENERATORS


def test_a_part_that_another_module_defines_survives_an_edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "my_package_of_parts.py", "packaged", "theirs")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin = tmp_path / "only_imports.py"
    for text in ("import my_package_of_parts\n", "import my_package_of_parts  # edited\n"):
        plugin.write_text(text)
        import_plugin(plugin)
        assert said("packaged") == "theirs"


def test_two_plugins_with_one_name_are_refused_and_both_named(tmp_path: Path) -> None:
    first = write(tmp_path / "one.py", "claimed", "first")
    second = write(tmp_path / "two.py", "Claimed", "second")
    import_plugin(first)
    says = rf"plugin .*two\.py failed .*two generator parts are called 'Claimed': Part in {first} and Part in {second}"
    for in_use in (None, (first, second)):
        with pytest.raises(InputError, match=says):
            import_plugin(second, in_use)
        assert said("claimed") == "first"
    with pytest.raises(InputError, match=rf"'difference': lowshot\.hallucination\.\S+ and Part in {first}"):
        import_plugin(write(first, "difference", "mine"))


def test_a_plugin_of_an_earlier_recipe_gives_way_and_comes_back(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{stem}.py", "shared_name", stem) for stem in ("one", "two")]
    for file in (*files, *files):
        import_plugin(file, in_use=[file])
        assert said("shared_name") == file.stem


def test_a_plugin_that_fails_leaves_the_parts_of_others_as_they_were(tmp_path: Path) -> None:
    first = write(tmp_path / "one.py", "still_there", "first")
    second = write(tmp_path / "two.py", "still_there", "second")
    second.write_text(second.read_text() + "\n1/0\n")
    import_plugin(first, in_use=[first])
    with pytest.raises(InputError, match="ZeroDivisionError"):
        import_plugin(second, in_use=[second])
    assert said("still_there") == "first"
    assert [plugin.path for plugin in imported_plugins()].count(first) == 1


def test_a_part_that_a_plugin_did_not_define_itself_follows_an_edit(tmp_path: Path) -> None:
    code = """
        import functools
        from lowshot.registry import GENERATORS

        GENERATORS.register("{name}", "a part of another module, for a test")(functools.partial(dict, says={says!r}))
    """
    plugin = tmp_path / "borrows.py"
    for name, says in (("borrowed", "old"), ("borrowed", "new"), ("renamed", "new")):
        plugin.write_text(textwrap.dedent(code.format(name=name, says=says)))
        import_plugin(plugin)
        assert GENERATORS.get(name)() == {"says": says}
        assert str(plugin) in GENERATORS.entry(name).source
    assert "borrowed" not in GENERATORS


def test_a_part_that_another_module_registers_for_a_plugin_is_the_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_decorator.py").write_text(
        "from lowshot.registry import GENERATORS\ndef part(name): return GENERATORS.register(name, 'for a test')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin = tmp_path / "decorated.py"
    for name in ("decorated", "decorated_again"):
        plugin.write_text(f"import my_decorator\n@my_decorator.part('{name}')\nclass Part: ...\n")
        import_plugin(plugin)
        assert GENERATORS.entry(name).source == f"Part in {plugin}"
    assert "decorated" not in GENERATORS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.py", None, "does not exist"),
        ("broken.py", "import nothing_like_this", "ModuleNotFoundError"),
        ("broken.py", "1/0", "ZeroDivisionError"),
        ("broken.py", "this is no Python", "SyntaxError"),
        ("broken.txt", "x = 1", r"ends in \.py"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"broken\.\w+.*{message}"):
        import_plugin(tmp_path / name)


def test_a_plugin_that_fails_half_way_registers_nothing(tmp_path: Path) -> None:
    plugin = write(tmp_path / "half.py", "half_way", "x")
    plugin.write_text(plugin.read_text() + "\n1/0\n")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        import_plugin(plugin)
    assert "half_way" not in GENERATORS


def test_another_process_runs_the_text_that_this_one_ran(tmp_path: Path) -> None:
    plugin = write(tmp_path / "sent.py", "pickled", "sent")
    import_plugin(plugin)
    data = packed(GENERATORS.build("pickled"))
    write(plugin, "pickled", "edited since")
    code = (
        "import sys; from lowshot.plugins import unpacked; from lowshot.registry import GENERATORS\n"
        "part = unpacked(sys.stdin.buffer.read())\n"
        "print(part.run(), type(part) is GENERATORS.get('pickled'))"
    )
    found = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert found.stdout.decode().split() == ["sent", "True"]


def test_a_worker_that_outlives_an_edit_runs_the_new_text(tmp_path: Path) -> None:
    def answers() -> set[str]:
        import_plugin(plugin)
        part, found = GENERATORS.build("outlived"), []
        tasks = [_Run(f"t{i}", 0, tmp_path, group=f"{i}") for i in range(2)]
        for task in tasks:
            object.__setattr__(task, "part", part)
        run_tasks(tasks, Engine("loky", 2), lambda task, result: found.append(result))
        return set(found)

    plugin = write(tmp_path / "outlived.py", "outlived", "before")
    assert answers() == {"before before"}
    write(plugin, "outlived", "after")
    assert answers() == {"after after"}
    write(plugin, "outlived", "before")
    assert answers() == {"before before"}


class _Run(Add):
    """Asks a part that came with it, and the one that is registered where it runs."""

    part: Any = None

    def run(self, *needed: Any) -> Any:
        return f"{self.part.run()} {said('outlived')}"


def test_digests_know_the_text_but_not_the_place(tmp_path: Path) -> None:
    parts = []
    for folder in ("here", "there"):
        plugin = write(tmp_path / folder / "placed.py", "placed", "x")
        import_plugin(plugin, in_use=[plugin])
        parts.append(GENERATORS.build("placed"))
        assert code_of(parts[-1]) == file_fingerprint(plugin)
    assert (
        generator_fingerprint(parts[0]) == generator_fingerprint(parts[1]) == ["lowshot_plugin_placed.Part", None, {}]
    )
    write(plugin, "placed", "y")
    import_plugin(plugin)
    assert code_of(parts[-1]) == code_of(parts[0]) != code_of(GENERATORS.build("placed"))
    assert plugin_of(type(parts[0])) is not None


def test_a_class_that_was_replaced_is_pickled_by_value(tmp_path: Path) -> None:
    plugin = write(tmp_path / "replaced.py", "replaced", "old")
    import_plugin(plugin)
    old = GENERATORS.build("replaced")
    import_plugin(write(plugin, "replaced", "new"))
    assert cloudpickle.loads(cloudpickle.dumps(old)).run() == "old"
