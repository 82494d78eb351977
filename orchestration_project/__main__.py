"""`python -m orchestration_project`: the command `orchestration-project` for where it is not on the PATH."""

from orchestration_project.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m orchestration_project")
