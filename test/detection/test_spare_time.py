from pose3d_ros.detection.spare_time import MAX_PEOPLE, SpareTime


def _sets(spare: SpareTime, call_s: float, period_s: float, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        spare.add(call_s, round(number * period_s * 1e9))


def test_fast_detector_gets_more_people_set_by_set_up_to_a_limit():
    spare = SpareTime()
    _sets(spare, 0.010, 0.033, 4)
    assert spare.people == 3  # the first stamp gives no period
    _sets(spare, 0.010, 0.033, 100, start=4)
    assert spare.people == MAX_PEOPLE


def test_slow_detector_gets_half_the_people_down_to_zero():
    spare = SpareTime()
    _sets(spare, 0.010, 0.033, 9)
    assert spare.people == 8
    _sets(spare, 0.030, 0.033, 1, start=9)
    assert spare.people == 4
    _sets(spare, 0.030, 0.033, 10, start=10)
    assert spare.people == 0


def test_between_the_limits_nothing_changes():
    spare = SpareTime()
    _sets(spare, 0.010, 0.033, 4)
    _sets(spare, 0.0165, 0.033, 20, start=4)
    assert spare.people == 3


def test_dropped_sets_count_as_time():
    spare = SpareTime()
    spare.add(0.03, 0)
    spare.add(0.03, 100_000_000)  # two of three sets at 30 Hz were dropped: 0.03 s of 0.1
    assert spare.people == 1


def test_backward_clock_jump_changes_nothing():
    spare = SpareTime()
    for stamp_ns in (10**9, 10**9, 5 * 10**8):
        spare.add(0.01, stamp_ns)
    assert spare.people == 0
    spare.add(0.01, 6 * 10**8)
    assert spare.people == 1
