import numpy as np

from pose3d_ros.detection.box_tracks import (
    MAX_PAUSE,
    SEVERAL_CAMERAS_FACTOR,
    SURE_EVERY,
    UNSURE_EVERY,
    BoxTracks,
    joint_box,
    parts,
)

ONE = np.array([0])
PERSON = np.array([100.0, 100, 200, 400])


def _detected(*rows):
    return np.array(rows, dtype=float).reshape(-1, 5)


def _joints(box):
    """Joints that fill a box."""
    fractions = np.linspace(0, 1, 17)[:, None]
    return (box[:2] + fractions * (box[2:] - box[:2]))[None]


def test_first_image_and_then_every_third_is_searched():
    tracks, searched = BoxTracks(every=3, phase=0), []
    for moment in range(7):
        if tracks.search_due():
            searched.append(moment)
        tracks.candidates(_detected([*PERSON, 0.9]) if moment in searched else None)
        tracks.use_exact(1, 4)
        tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    assert searched == [0, 3, 6]


def test_loss_triggers_a_search_in_the_next_image():
    tracks = BoxTracks(every=100, phase=0)
    tracks.candidates(_detected([*PERSON, 0.9]))
    tracks.use_exact(1, 4)
    tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=True)
    assert tracks.search_due()
    candidates = tracks.candidates(_detected([500, 100, 600, 400, 0.9]))
    assert candidates.tracked == 1
    assert candidates.boxes[1].tolist() == [500, 100, 600, 400]


def test_box_of_a_tracked_person_is_not_new():
    tracks = BoxTracks(every=1, phase=0)
    tracks.candidates(_detected([*PERSON, 0.9]))
    tracks.use_exact(1, 4)
    tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    candidates = tracks.candidates(_detected([*PERSON + 10, 0.9]))
    assert len(candidates.boxes) == candidates.tracked == 1


def test_candidate_box_encloses_the_last_joints():
    tracks = BoxTracks(every=5, phase=0)
    tracks.candidates(_detected([*PERSON, 0.9]))
    tracks.use_exact(1, 4)
    tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    assert not tracks.search_due()
    (box,) = tracks.candidates(None).boxes
    assert (box[:2] < PERSON[:2]).all()
    assert (box[2:] > PERSON[2:]).all()
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, (PERSON[:2] + PERSON[2:]) / 2)


def _tracking(cameras=4, every=100, lost=False):
    """Tracks with PERSON, detected by a search."""
    tracks = BoxTracks(every=every, phase=0)
    tracks.candidates(_detected([*PERSON, 0.9]), cameras=cameras)
    tracks.use_exact(1, cameras)
    tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=lost)
    return tracks


def test_with_more_cameras_each_is_searched_less_often():
    for cameras, every in ((2, 3), (4, 3 * SEVERAL_CAMERAS_FACTOR)):
        tracks = _tracking(cameras, every=3)
        for _ in range(every - 1):
            assert not tracks.search_due()
            tracks.candidates(None, cameras=cameras)
        assert tracks.search_due()


def test_search_can_be_requested():
    tracks = _tracking()
    assert not tracks.search_due()
    tracks.search_soon()
    assert tracks.search_due()


def test_lost_person_is_expected_in_the_predicted_box():
    tracks = _tracking(lost=True)
    predicted = np.array([PERSON + 2, PERSON + 300])  # one of them is tracked
    assert not tracks.search_due(predicted)
    candidates = tracks.candidates(None, predicted)
    assert (candidates.tracked, candidates.known) == (1, 2)
    assert candidates.boxes[1:].tolist() == [(PERSON + 300).tolist()]
    tracks.use_exact(2, 4)
    tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    # The person is not there: one search. A hidden person (behind a wall) costs nothing in the next image.
    assert tracks.search_due(predicted)
    tracks.candidates(_detected(), predicted)
    tracks.use_exact(2, 4)
    tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    assert not tracks.search_due(predicted)
    assert len(tracks.candidates(None, predicted).boxes) == 1


def _looked_for(tracks, predicted, images, kept=ONE):
    """The images, in order, in which an untracked predicted person is looked for, without being searched."""
    tried = []
    for moment in range(images):
        candidates = tracks.candidates(None, predicted)
        tracks.use_exact(len(candidates.boxes), 4)
        if candidates.known > candidates.tracked:
            tried.append(moment)
        tracks.update(_joints(PERSON), np.ones((1, 17)), kept, lost=False)
    return tried


def test_hidden_person_is_looked_for_again_after_growing_pauses():
    tried = _looked_for(_tracking(), np.array([PERSON, PERSON + 300]), 30)
    gaps = np.diff(tried)
    assert tried[0] == 0
    assert gaps[0] <= 2
    assert (np.diff(gaps) >= 0).all()
    assert gaps[-1] == MAX_PAUSE


def test_person_predicted_behind_a_tracked_one_is_a_candidate():
    behind = PERSON + np.array([20, -10, 40, 10])  # overlaps the tracked box by more than SAME_PERSON_IOU
    candidates = _tracking().candidates(None, np.array([behind, PERSON]))
    assert candidates.tracked == 1
    assert candidates.boxes[1:].tolist() == [behind.tolist()]


def test_lost_person_is_searched_ever_less_often_until_found():
    tracks, searched = _tracking(lost=True), []
    for moment in range(20):
        due = tracks.search_due()
        if due:
            searched.append(moment)
        tracks.candidates(_detected() if due else None)
        tracks.use_exact(1, 4)
        tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    assert searched == [0, 2, 6, 14]


def test_box_keeps_the_score_of_its_latest_search():
    tracks = _tracking()  # detected with 0.9
    assert tracks.candidates(None).score.tolist() == [0.9]
    tracks.use_exact(1, 4)
    tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    again = tracks.candidates(_detected([*PERSON + 5, 0.6], [*PERSON + 500, 0.7]))
    assert again.score.tolist() == [0.6, 0.7]
    tracks.use_exact(2, 4)
    tracks.update(_joints(PERSON), np.ones((1, 17)), ONE, lost=False)
    assert tracks.candidates(_detected()).score.tolist() == [0.0]


def test_person_detected_in_the_predicted_box_needs_no_search():
    tracks = _tracking(lost=True)
    tracks.candidates(None, PERSON[None] + 300)
    tracks.use_exact(2, 4)
    both = np.concatenate((_joints(PERSON), _joints(PERSON + 300)))
    tracks.update(both, np.ones((2, 17)), np.arange(2), lost=False)
    assert not tracks.search_due()


def test_image_without_tracked_people_is_searched_only_without_a_prediction():
    tracks = BoxTracks(every=3, phase=0)
    tracks.candidates(_detected(), PERSON[None])  # the first image is searched, with the prediction
    searched = []
    for _ in range(6):
        searched.append(tracks.search_due(PERSON[None]))
        candidates = tracks.candidates(_detected() if searched[-1] else None, PERSON[None])
        assert (candidates.boxes.tolist(), candidates.tracked) == ([PERSON.tolist()], 0)
    assert searched == [False, False, True, False, False, True]
    assert tracks.search_due()


def test_detected_and_predicted_box_of_one_person_are_merged():
    candidates = BoxTracks(every=3, phase=0).candidates(_detected([*PERSON + 5, 0.9]), PERSON[None])
    assert len(candidates.boxes) == 1
    assert candidates.score.tolist() == [0.9]


def test_new_box_among_others_gets_the_exact_network_in_the_next_image_only():
    tracks = _tracking(lost=True)
    tracks.candidates(_detected([*PERSON + 500, 0.9]))
    assert tracks.use_exact(2, 4).tolist() == [False, False]
    both = np.concatenate((_joints(PERSON), _joints(PERSON + 500)))
    tracks.update(both, np.ones((2, 17)), np.arange(2), lost=False)
    assert tracks.use_exact(2, 4).tolist() == [False, True]
    assert tracks.use_exact(2, 4).tolist() == [False, False]


def test_spare_time_goes_to_the_people_who_waited_longest():
    tracks = _tracking()
    two = np.concatenate((_joints(PERSON), _joints(PERSON + 500)))
    tracks.candidates(None)
    tracks.use_exact(1, 4)
    tracks.search_soon()
    tracks.candidates(_detected([*PERSON + 500, 0.9]))
    tracks.use_exact(2, 4)
    tracks.update(two, np.ones((2, 17)), np.arange(2), lost=False)
    assert tracks.use_exact(2, 4).tolist() == [False, True]  # the one that is due
    assert tracks.use_exact(2, 4, spare=1).tolist() == [True, False]
    assert tracks.use_exact(2, 4, spare=1).tolist() == [False, True]
    assert tracks.use_exact(2, 4, spare=5).tolist() == [True, True]


def test_low_scoring_part_is_dropped_and_confident_overlapping_person_is_kept():
    boxes = np.array([PERSON, [110, 110, 190, 200], [120, 200, 180, 390]])
    assert parts(boxes, np.array([0.8, 0.5, 0.2])).tolist() == [False, False, True]


def test_low_scoring_joints_shape_the_box_only_without_others():
    xy = np.array([[0.0, 0], [10, 10], [99, 99]])
    assert joint_box(xy, np.array([0.9, 0.9, 0.1])).tolist() == [0, 0, 10, 10]
    assert joint_box(xy, np.array([0.1, 0.1, 0.1])).tolist() == [0, 0, 99, 99]
    assert joint_box(xy * np.nan, np.zeros(3)).tolist() == [0, 0, 0, 0]


def _exact_images(score, phase=0, images=70, cameras=4):
    """The images in which one person with that score gets the exact network."""
    tracks, exact = BoxTracks(every=100, phase=phase), []
    for moment in range(images):
        boxes = tracks.candidates(_detected([*PERSON, 0.9]) if tracks.search_due() else None).boxes
        if tracks.use_exact(len(boxes), cameras)[0]:
            exact.append(moment)
        tracks.update(_joints(PERSON), np.full((1, 17), score), ONE, lost=False)
    return exact


def test_new_person_gets_the_exact_network_and_then_more_often_at_a_lower_score():
    assert _exact_images(0.9) == [0, SURE_EVERY, 2 * SURE_EVERY]
    assert _exact_images(0.6)[:4] == [0, UNSURE_EVERY, 2 * UNSURE_EVERY, 3 * UNSURE_EVERY]


def test_few_cameras_use_the_exact_network_in_every_image():
    assert _exact_images(0.9, images=5, cameras=2) == [0, 1, 2, 3, 4]
    assert _exact_images(0.9, phase=3, images=5, cameras=1) == [0, 1, 2, 3, 4]


def test_cameras_that_start_together_use_the_exact_network_in_turn():
    looks = [_exact_images(0.9, phase) for phase in (0, 3, 6, 9)]
    later = [moment for images in looks for moment in images if moment]
    assert len(set(later)) == len(later)


def test_exact_schedule_stays_with_its_person_when_another_leaves():
    tracks = BoxTracks(every=100, phase=0)
    other = PERSON + 500
    two = np.concatenate((_joints(other), _joints(PERSON)))
    tracks.candidates(_detected([*other, 0.9]))
    tracks.use_exact(1, 4)
    tracks.update(two[:1], np.ones((1, 17)), ONE, lost=True)
    for _ in range(3):
        boxes = tracks.candidates(_detected([*PERSON, 0.9]) if tracks.search_due() else None).boxes
        tracks.use_exact(len(boxes), 4)
        tracks.update(two[: len(boxes)], np.ones((2, 17)), np.arange(2), lost=False)
    tracks.update(two[1:], np.ones((1, 17)), np.array([1]), lost=False)
    # The exact network was used one image ago for the remaining person, three ago for the other.
    exact = []
    for _ in range(SURE_EVERY - 1):
        tracks.candidates(None)
        exact.append(bool(tracks.use_exact(1, 4)[0]))
        tracks.update(two[1:], np.ones((1, 17)), ONE, lost=False)
    assert exact == [False] * (SURE_EVERY - 2) + [True]
