"""The entrance to the project's own commands: `python -m orchestration_project ...`."""

from orchestration_project.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m orchestration_project")
