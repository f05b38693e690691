"""Every command explains itself, and the command line starts fast."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from agent_ledger import plugins
from agent_ledger.cli import _add_commands_of_plugins, cli
from agent_ledger.hookspecs import hookimpl


def _commands(group: click.Group = cli, path: str = "agent-ledger") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


COMMANDS = dict(_commands())


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_and_examples(path, run):
    command = COMMANDS[path]
    assert command.help
    assert "Examples:\n" in command.help
    assert f"agent-ledger {path.split()[1]} " in command.help
    result = run(*path.split()[1:], "-h")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_has_help(path):
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.rstrip("]").endswith((".", "now", "on", *"abcdefghijklmnopqrstuvwxyz"))


def test_commands_stand_in_the_order_of_the_work():
    assert list(cli.commands)[:5] == ["init", "record", "import", "assign", "prices"]
    assert cli.list_commands(click.Context(cli)) == list(cli.commands)


def test_version_and_no_command(run):
    assert run("--version").stdout.startswith("agent-ledger, version ")
    assert "Commands:" in run().output


def test_import_names_its_formats(run):
    output = run("import", "-h").stdout
    assert "claude-code" in output
    assert "responses" in output


def test_unknown_command_and_option(refused):
    assert refused(2, "repport").startswith("No such command 'repport'")
    assert "--bye" in refused(2, "report", "x.db", "--bye", "agent")


def test_start_needs_no_price_list_and_no_datasette():
    code = (
        "import sys, agent_ledger.cli\n"
        "assert not {'genai_prices', 'datasette', 'pydantic'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "agent_ledger", "--help"], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.startswith("Usage: agent-ledger ")


def test_a_failing_plugin_is_named_and_the_others_come(capsys):
    class Bad:
        @hookimpl
        def register_commands(self, cli):  # noqa: ARG002
            raise RuntimeError("no")

    class Good:
        @hookimpl
        def register_commands(self, cli):
            @cli.command("extra")
            def extra():
                """More."""

    manager = plugins.manager()
    bad, good = Bad(), Good()
    manager.register(good, "good")
    manager.register(bad, "bad")
    try:
        _add_commands_of_plugins()
        assert "extra" in cli.commands
    finally:
        manager.unregister(bad)
        manager.unregister(good)
        cli.commands.pop("extra", None)
    assert capsys.readouterr().err == (
        "Warning: the plugin bad can't be loaded (RuntimeError: no): update it or remove it\n"
    )


def test_plugins_that_cannot_be_loaded_at_all(monkeypatch, capsys, refused, tmp_path):
    def fail():
        raise ImportError("gone")

    monkeypatch.setattr(plugins, "manager", fail)
    _add_commands_of_plugins()
    assert "Warning: a plugin can't be loaded (ImportError: gone)" in capsys.readouterr().err
    assert "gone" in refused(1, "import", tmp_path / "x.db", "responses", "x.jsonl")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("agent-ledger rep", "report"),
        ("agent-ledger report l.db --by te", "team"),
        ("agent-ledger report l.db --tz Europe/Berl", "Europe/Berlin"),
        ("agent-ledger import l.db clau", "claude-code"),
        ("agent-ledger rows l.db cost_by_ag", "cost_by_agent"),
    ],
)
def test_completion(words, completed):
    done = subprocess.run(
        [sys.executable, "-c", "from agent_ledger.cli import cli; cli(prog_name='agent-ledger')"],
        env={
            "_AGENT_LEDGER_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
            "PATH": "/usr/bin:/bin",
        },
        timeout=60, capture_output=True, text=True,
    )  # fmt: skip
    assert f"plain,{completed}" in done.stdout.split()


def test_ledger_completes_to_files():
    done = subprocess.run(
        [sys.executable, "-c", "from agent_ledger.cli import cli; cli(prog_name='agent-ledger')"],
        env={"_AGENT_LEDGER_COMPLETE": "bash_complete", "COMP_WORDS": "agent-ledger report l", "COMP_CWORD": "2"},
        timeout=60, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("file,")
