"""Constants of the kernels; the key of numba's cache includes this file's content."""

from __future__ import annotations

# Triangulation. 4 steps are usual on clean data; a point with outliers in two views takes up to about 20.
MAX_STEPS = 50
# A point is done when a Newton step promises less than this share of its objective (plus an absolute part, in
# units of half a squared standard deviation, for exact data). Newton's next step promises about its square.
DECREASE = 1e-7
DECREASE_FLOOR = 1e-14
# Of 36 settings tried on clean and outlying Human3.6M views all end at one objective; these need few steps.
FIRST_DAMPING = 1e-2
DAMPING_DOWN, DAMPING_UP = 0.1, 5.0
LAST_DAMPING = 1e10  # no step that short helps: the point sits at its minimum up to rounding
# Whitened residual of the linear start above which other starts are tried; one clean keypoint in 90 has it.
SUSPICIOUS = 3.0
# Smallest over largest eigenvalue of the information, below which its inverse is rounding noise. A 12 cm stereo
# head at 10 m has 1e-5.
MIN_CONDITION = 1e-11
# Why a joint has no position: Rejection of geometry/validation.py.
FEW_VIEWS, RANK, CHEIRALITY, UNCERTAIN = 1, 2, 3, 4

# Association. A joint's mismatch counts at most this many limits: up to half of the joints may be wrong before two
# views of one person are separated.
TRUNCATION = 2.0
# Two views must share at least this many joints to be compared. Four points that
# meet their epipolar lines by chance within 2 % of the image's height are already rare (0.02 ** 4).
MIN_SHARED_JOINTS = 4
# Median bone length of a person in m. Over 59k frames of motion capture of adults (CMU) the median bone of
# Human3.6M-17 is 0.18-0.25 m; a toddler's is half of that, foreshortening lowers and noisy depth blurs it.
# Two people matched wrongly meet at a wrong depth, and so at a wrong size.
SHORTEST_BONE_M, LONGEST_BONE_M = 0.05, 0.6
# Eight joints are half of a body; more evidence than that does not make a pair more decisive.
HALF_A_BODY = 8.0
REASSIGNMENTS = 4

# Filters. Spectral density of joint acceleration, m^2/s^3: second differences of 59k frames of CMU motion capture
# at 12 fps give 0.4 (trunk) to 3.7 (ankles, wrists), mean 1.6, as var / (2/3 dt^3).
ACCELERATION_DENSITY = 2.0
# Unseen velocity dies away with this time constant: the trunk's velocity in the same data is correlated with
# itself 0.17-0.5 s later as exp(-t / 0.8 s); limbs forget faster (0.3 s).
VELOCITY_TIME_CONSTANT_S = 0.8
# Speed of a joint that was just found, m/s: between the median (0.4) and p95 (1.9) of the same data.
INITIAL_SPEED = 1.0
# Half of a body moving further than JUMP_M and what running covers, m and m/s, is a jump.
JUMP_M = 0.15
RUNNING_SPEED = 3.0
# Below this standard deviation a distance to a joint is taken as it is (kalman.distance).
SURE_STD_M = 0.1
# Triangulated covariance knows image noise only; calibration and joint definition add about 1 cm.
MIN_STD_M = 0.01
# A predicted joint's score halves in this time.
SCORE_HALF_LIFE_S = 0.25
