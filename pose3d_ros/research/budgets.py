"""How large the networks of `pose3d compare` are, and how long they train: on two cores, or as published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Sizes and durations; every network for images gets the same number of images."""

    name: str
    side: int  # px of a crop
    layers: int  # of the ResNets
    width: int  # of their first stage, channels
    deconvolution: int  # channels
    bins: int  # of depth
    stacks: int  # hourglasses
    hourglass_width: int  # channels
    zhou_width: int  # channels of Zhou et al.'s hourglasses
    zhou_modules: int  # residual modules at every place of them
    synthesis_width: int  # channels of Rhodin et al.'s first layer
    voxels: int  # a side, of volumetric triangulation
    volume_width: int  # channels of its features
    latent_points: int  # of view synthesis
    fully_connected: int  # of Li and Chan's first such layer
    passes: int  # images per network
    epoch_images: int
    batch: int  # images
    learning_rate: float
    lifter_width: int
    lifter_people: int  # per epoch
    lifter_epochs: int
    lifter_batch: int


# Sizes by which one image costs 10 to 40 ms, forward and backward, on one core without AVX-512.
SMALL = Budget(
    name="small", side=96, layers=18, width=32, deconvolution=64, bins=16, stacks=2, hourglass_width=128,
    zhou_width=64, zhou_modules=1, synthesis_width=8, voxels=16, volume_width=16, latent_points=64,
    fully_connected=256, passes=24_000, epoch_images=2_400, batch=16, learning_rate=1e-3, lifter_width=512,
    lifter_people=16_384, lifter_epochs=30, lifter_batch=256,
)  # fmt: skip
# AbsPoseLifter, Sec. 4.1: 256 px, batch 48, RMSprop 1e-4, 1e-5 from the middle on. 60 epochs of Human3.6M at a fifth
# of its frame rate are 18 million images.
FULL = Budget(
    name="full", side=256, layers=50, width=64, deconvolution=256, bins=64, stacks=8, hourglass_width=256,
    zhou_width=256, zhou_modules=2, synthesis_width=32, voxels=64, volume_width=32, latent_points=200,
    fully_connected=1024, passes=18_000_000, epoch_images=300_000, batch=48, learning_rate=1e-4, lifter_width=1024,
    lifter_people=1_500_000, lifter_epochs=200, lifter_batch=64,
)  # fmt: skip
BUDGETS = {budget.name: budget for budget in (SMALL, FULL)}
