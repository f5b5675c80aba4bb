"""What every launcher must do, with real processes."""

from __future__ import annotations

from dsice.testing.ends import Ends
from dsice.testing.outcomes import Outcomes


class LauncherTests(Outcomes, Ends):
    """Tests of a launcher, to be inherited at the top level of a file with tests.

    ```python
    class TestMine(LauncherTests):
        def new_launcher(self, folder: Path) -> Launcher:
            settings = MySettings(time=600, poll=0.2, grace=0.5, submit_rate=50)
            return BatchLauncher(MyScheduler(), settings, folder / "batch")
    ```

    One test imports that file in a process of its own and creates an object of the class there, so
    neither may need anything of pytest. The commands of the batch system must work.

    Attributes:
        batch: whether others than the driver may end jobs, and the launcher learns of it from a
            batch system.
        unknown_id: the id of a job that the batch system does not know.
    """
