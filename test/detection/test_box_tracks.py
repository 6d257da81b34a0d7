import numpy as np

from pose3d_ros.detection.box_tracks import (
    SEVERAL_SELDOM,
    SURE_EVERY,
    UNSURE_EVERY,
    BoxTracks,
    joint_box,
    without_parts,
)

ONE = np.array([0])
PERSON = np.array([100.0, 100, 200, 400])


def _found(*rows):
    return np.array(rows, dtype=float).reshape(-1, 5)


def _joints(box):
    """Joints that fill a box."""
    fractions = np.linspace(0, 1, 17)[:, None]
    return (box[:2] + fractions * (box[2:] - box[:2]))[None]


def test_the_first_image_is_searched_and_then_every_third():
    tracks, searched = BoxTracks(every=3, phase=0), []
    for moment in range(7):
        if tracks.to_search():
            searched.append(moment)
        tracks.expected(_found([*PERSON, 0.9]) if moment in searched else None)
        tracks.closely(1, 4)
        tracks.follow(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    assert searched == [0, 3, 6]


def test_a_loss_brings_a_search_in_the_next_image():
    tracks = BoxTracks(every=100, phase=0)
    tracks.expected(_found([*PERSON, 0.9]))
    tracks.closely(1, 4)
    tracks.follow(_joints(PERSON), np.ones((1, 17)), ONE, lost=True)
    assert tracks.to_search()
    boxes, followed = tracks.expected(_found([500, 100, 600, 400, 0.9]))
    assert followed == 1
    assert boxes[1].tolist() == [500, 100, 600, 400]


def test_a_box_of_somebody_followed_is_not_new():
    tracks = BoxTracks(every=1, phase=0)
    tracks.closely(1, 4)
    tracks.follow(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    boxes, followed = tracks.expected(_found([*PERSON + 10, 0.9]))
    assert len(boxes) == followed == 1


def test_people_are_expected_where_their_joints_were_and_a_little_around():
    tracks = BoxTracks(every=5, phase=0)
    tracks.expected(_found([*PERSON, 0.9]))
    tracks.closely(1, 4)
    tracks.follow(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    assert not tracks.to_search()
    (box,), _ = tracks.expected(None)
    assert (box[:2] < PERSON[:2]).all()
    assert (box[2:] > PERSON[2:]).all()
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, (PERSON[:2] + PERSON[2:]) / 2)


def _followed(cameras=4, every=100, lost=False):
    """Tracks that follow PERSON, whom a search found."""
    tracks = BoxTracks(every=every, phase=0)
    tracks.expected(_found([*PERSON, 0.9]), cameras=cameras)
    tracks.closely(1, cameras)
    tracks.follow(_joints(PERSON), np.ones((1, 17)), ONE, lost=lost)
    return tracks


def test_more_cameras_are_searched_more_seldom_each():
    for cameras, every in ((2, 3), (4, 3 * SEVERAL_SELDOM)):
        tracks = _followed(cameras, every=3)
        for _ in range(every - 1):
            assert not tracks.to_search()
            tracks.expected(None, cameras=cameras)
        assert tracks.to_search()


def test_a_search_can_be_asked_for():
    tracks = _followed()
    assert not tracks.to_search()
    tracks.search_soon()
    assert tracks.to_search()


def test_who_was_lost_is_looked_for_where_the_other_cameras_place_them():
    tracks = _followed(lost=True)
    predicted = np.array([PERSON + 2, PERSON + 300])  # one of them is followed
    assert not tracks.to_search(predicted)
    boxes, followed = tracks.expected(None, predicted)
    assert followed == 1
    assert boxes[1:].tolist() == [(PERSON + 300).tolist()]
    tracks.closely(2, 4)
    tracks.follow(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    # They are not there: a search, once. Who stays hidden (behind a wall) costs nothing in the images after it.
    assert tracks.to_search(predicted)
    tracks.expected(_found(), predicted)
    tracks.closely(2, 4)
    tracks.follow(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    assert not tracks.to_search(predicted)
    assert len(tracks.expected(None, predicted)[0]) == 1


def test_who_is_found_where_the_other_cameras_place_them_needs_no_search():
    tracks = _followed(lost=True)
    tracks.expected(None, PERSON[None] + 300)
    tracks.closely(2, 4)
    both = np.concatenate((_joints(PERSON), _joints(PERSON + 300)))
    tracks.follow(both, np.ones((2, 17)), np.arange(2), lost=False)
    assert not tracks.to_search()


def test_an_image_with_nobody_to_follow_is_searched_only_where_no_person_is_predicted():
    tracks = BoxTracks(every=3, phase=0)
    tracks.expected(_found(), PERSON[None])  # the first image is searched, with what is predicted
    searched = []
    for _ in range(6):
        searched.append(tracks.to_search(PERSON[None]))
        boxes, followed = tracks.expected(_found() if searched[-1] else None, PERSON[None])
        assert (boxes.tolist(), followed) == ([PERSON.tolist()], 0)
    assert searched == [False, False, True, False, False, True]
    assert tracks.to_search()


def test_a_found_box_that_is_predicted_too_is_one():
    boxes, _ = BoxTracks(every=3, phase=0).expected(_found([*PERSON + 5, 0.9]), PERSON[None])
    assert len(boxes) == 1


def test_a_new_box_among_others_is_looked_at_closely_in_the_next_image_only():
    tracks = _followed(lost=True)
    tracks.expected(_found([*PERSON + 500, 0.9]))
    assert tracks.closely(2, 4).tolist() == [False, False]
    both = np.concatenate((_joints(PERSON), _joints(PERSON + 500)))
    tracks.follow(both, np.ones((2, 17)), np.arange(2), lost=False)
    assert tracks.closely(2, 4).tolist() == [False, True]
    assert tracks.closely(2, 4).tolist() == [False, False]


def test_spare_time_goes_to_those_who_waited_longest():
    tracks = _followed()
    two = np.concatenate((_joints(PERSON), _joints(PERSON + 500)))
    tracks.expected(None)
    tracks.closely(1, 4)
    tracks.search_soon()
    tracks.expected(_found([*PERSON + 500, 0.9]))
    tracks.closely(2, 4)
    tracks.follow(two, np.ones((2, 17)), np.arange(2), lost=False)
    assert tracks.closely(2, 4).tolist() == [False, True]  # whose turn it is
    assert tracks.closely(2, 4, spare=1).tolist() == [True, False]
    assert tracks.closely(2, 4, spare=1).tolist() == [False, True]
    assert tracks.closely(2, 4, spare=5).tolist() == [True, True]


def test_an_unsure_part_of_a_person_is_left_out_and_a_sure_person_before_another_is_kept():
    boxes = np.array([PERSON, [110, 110, 190, 200], [120, 200, 180, 390]])
    assert len(without_parts(boxes, np.array([0.8, 0.5, 0.2]))) == 2


def test_unsure_joints_shape_the_box_only_when_there_are_no_others():
    xy = np.array([[0.0, 0], [10, 10], [99, 99]])
    assert joint_box(xy, np.array([0.9, 0.9, 0.1])).tolist() == [0, 0, 10, 10]
    assert joint_box(xy, np.array([0.1, 0.1, 0.1])).tolist() == [0, 0, 99, 99]
    assert joint_box(xy * np.nan, np.zeros(3)).tolist() == [0, 0, 0, 0]


def _close_looks(score, phase=0, images=70, cameras=4):
    """The images in which one person, seen with that score, is looked at closely."""
    tracks, close = BoxTracks(every=100, phase=phase), []
    for moment in range(images):
        boxes, _ = tracks.expected(_found([*PERSON, 0.9]) if tracks.to_search() else None)
        if tracks.closely(len(boxes), cameras)[0]:
            close.append(moment)
        tracks.follow(_joints(PERSON), np.full((1, 17), score), ONE, lost=False)
    return close


def test_who_is_new_is_looked_at_closely_and_then_the_more_often_the_less_sure():
    assert _close_looks(0.9) == [0, SURE_EVERY, 2 * SURE_EVERY]
    assert _close_looks(0.6)[:4] == [0, UNSURE_EVERY, 2 * UNSURE_EVERY, 3 * UNSURE_EVERY]


def test_few_cameras_look_closely_in_every_image():
    assert _close_looks(0.9, images=5, cameras=2) == [0, 1, 2, 3, 4]
    assert _close_looks(0.9, phase=3, images=5, cameras=1) == [0, 1, 2, 3, 4]


def test_cameras_that_start_together_look_closely_in_turn():
    looks = [_close_looks(0.9, phase) for phase in (0, 3, 6, 9)]
    later = [moment for one in looks for moment in one if moment]
    assert len(set(later)) == len(later)


def test_close_looks_go_with_their_person_when_another_leaves():
    tracks = BoxTracks(every=100, phase=0)
    other = PERSON + 500
    two = np.concatenate((_joints(other), _joints(PERSON)))
    tracks.expected(_found([*other, 0.9]))
    tracks.closely(1, 4)
    tracks.follow(two[:1], np.ones((1, 17)), ONE, lost=True)
    for _ in range(3):
        boxes, _ = tracks.expected(_found([*PERSON, 0.9]) if tracks.to_search() else None)
        tracks.closely(len(boxes), 4)
        tracks.follow(two[: len(boxes)], np.ones((2, 17)), np.arange(2), lost=False)
    tracks.follow(two[1:], np.ones((1, 17)), np.array([1]), lost=False)
    # The one who stays was looked at closely one image before; the one who left, three.
    close = []
    for _ in range(SURE_EVERY - 1):
        tracks.expected(None)
        close.append(bool(tracks.closely(1, 4)[0]))
        tracks.follow(two[1:], np.ones((1, 17)), ONE, lost=False)
    assert close == [False] * (SURE_EVERY - 2) + [True]
