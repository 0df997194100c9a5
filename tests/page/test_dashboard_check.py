"""The page's own checks: types against the API as it is described today, lint, and the tests of its logic."""

import os
import subprocess
import sys

import needs


def test_the_page_s_types_lint_and_tests_hold() -> None:
    npm = needs.program("npm", "apt-get install npm")
    dashboard = needs.page_packages().parent
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [npm, "run", "--silent", "check"], check=False, cwd=dashboard, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
