"""States of sensors, which only Dagster's own processes write."""

import dagster as dg


def remember(
    instance: dg.DagsterInstance, cursor: str | None = None, name: str = "sales_files_sensor", *, running: bool = True
) -> None:
    """Store the state of a sensor as the daemon and the UI do."""
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    target = LoadableTargetOrigin(module_name="orchestration_project.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, "orchestration_project")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    status = InstigatorStatus.RUNNING if running else InstigatorStatus.STOPPED
    data = SensorInstigatorData(cursor=cursor, min_interval=30)
    state = InstigatorState(origin, InstigatorType.SENSOR, status, data)
    known = instance.get_instigator_state(state.instigator_origin_id, state.selector_id)
    (instance.update_instigator_state if known else instance.add_instigator_state)(state)
