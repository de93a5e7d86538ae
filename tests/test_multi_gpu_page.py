"""The commands of docs/multi-gpu.md are taken as they stand, but for the GPUs."""

import re
import shlex
import subprocess

import pytest
from conftest import ROOT, Zoo
from torch.distributed.run import get_args_parser

PAGE = (ROOT / "docs" / "multi-gpu.md").read_text()
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if "fit" in line
]


def fit(command: list[str]) -> list[str]:
    """The arguments of ``zoo``."""
    return command[command.index("fit") :]


def setting(command: list[str], flag: str) -> int:
    return int(command[command.index(flag) + 1])


def test_page_has_the_commands_that_people_need() -> None:
    assert {command[0] for command in COMMANDS} == {"zoo", "torchrun", "srun"}
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_of_the_page_parses(command: list[str], zoo_command: Zoo) -> None:
    arguments = ["cpu" if argument == "gpu" else argument for argument in fit(command)]
    # It prints the configuration and exits, as argparse does.
    with pytest.raises(SystemExit) as done:
        zoo_command(*arguments, "--print_config")
    assert done.value.code in (0, None)


def test_torchrun_starts_as_many_processes_as_the_run_is_of() -> None:
    (command,) = (command for command in COMMANDS if command[0] == "torchrun")
    options = get_args_parser().parse_args(command[1:])
    assert options.module
    assert (options.training_script, options.training_script_args) == ("zoo.cli", fit(command))
    assert int(options.nnodes) == setting(command, "--trainer.num_nodes")
    assert int(options.nproc_per_node) == setting(command, "--trainer.devices")


def test_slurm_starts_as_many_processes_as_the_run_is_of() -> None:
    (script,) = (block for block in BLOCKS if "#SBATCH" in block)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script, re.MULTILINE))
    (command,) = (command for command in COMMANDS if command[0] == "srun")
    assert int(asked["nodes"]) == setting(command, "--trainer.num_nodes")
    assert int(asked["ntasks-per-node"]) == int(asked["gpus-per-node"]) == setting(command, "--trainer.devices")


def test_pages_that_are_linked_are_there() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    assert "docs/multi-gpu.md" in (ROOT / "README.md").read_text()
