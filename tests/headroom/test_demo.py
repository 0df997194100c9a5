"""The demo as a newcomer runs it, with the real service in its own process."""

import json
import subprocess
import sys


def test_a_minute_of_the_demo_is_safe_faithful_and_takes_turns() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "headroom", "demo", "--json"),
            *("--seconds", "45", "--speed", "60", "--chargers", "12", "--api-port", "0", "--ocpp-port", "0"),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["frames_altered"] == 0
    assert report["frames_relayed"] > 500
    assert report["overload_seconds"] == 0
    assert report["breaker_trips"] == 0
    assert report["desk_errors"] == report["schema_violations"] == report["frames_leaked"] == 0
    assert report["least_nonzero_a"] >= 6
    assert report["rotations"] >= 1
    assert report["sessions"] >= 12
    assert report["setpoints_accepted"] >= 0.9 * report["setpoints_sent"] > 0
    assert report["start_to_limit_ms"]["p50"] is not None
    assert report["service_starts"] == 1
    assert 0 < report["api_port"] != report["ocpp_port"] > 0
