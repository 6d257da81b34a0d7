import math
from pathlib import Path

import pytest
import torch

pytest.importorskip("lightning_fabric", reason="training needs Lightning Fabric: pip install 'pose3d_ros[train]'")

from pose3d_ros.errors import InputError
from pose3d_ros.training.loop import BEST, LAST, FitOptions, History, fit, read_checkpoint

RECIPE = {"network": "line", "width": 8}


def data_of(epoch: int) -> dict[str, torch.Tensor]:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(epoch))
    return {"x": x, "y": x.sum(dim=1, keepdim=True)}


def loss_of(net: torch.nn.Module, batch) -> torch.Tensor:
    return (net(batch["x"]) - batch["y"]).square().mean()


def run(folder: Path, epochs: int, resume: bool = False, **changes) -> tuple[torch.nn.Module, History]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.2), torch.nn.ReLU(), torch.nn.Linear(8, 1)
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2, amsgrad=True)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.9, patience=1)
    options = FitOptions(
        epochs=epochs, batch_size=16, seed=changes.get("seed", 3), accelerator="cpu", resume=resume, progress=False,
        minutes=changes.get("minutes", math.inf),
    )  # fmt: skip
    validate = lambda current: loss_of(current, data_of(99)).item()  # noqa: E731
    recipe = changes.get("recipe", RECIPE)
    return net, fit(net, data_of, changes.get("loss", loss_of), optimiser, schedule, options, folder, recipe, validate)


def test_resumed_run_goes_through_the_same_numbers_as_an_unbroken_one(tmp_path):
    whole, history = run(tmp_path / "whole", epochs=6)
    run(tmp_path / "parts", epochs=3)
    resumed, again = run(tmp_path / "parts", epochs=6, resume=True)
    assert again == history
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_it_learns_and_another_seed_is_another_run(tmp_path):
    _, history = run(tmp_path / "a", epochs=15)
    assert history.score[-1] < 0.5 * history.score[0]
    _, other = run(tmp_path / "b", epochs=15, seed=4)
    assert other.loss != history.loss


def test_best_is_the_epoch_of_the_lowest_validation(tmp_path):
    _, history = run(tmp_path, epochs=6)
    best = read_checkpoint(tmp_path / BEST)
    assert best["score"][-1] == min(history.score)
    assert best["recipe"] == RECIPE


def test_run_out_of_minutes_stops_after_an_epoch_and_can_go_on(tmp_path):
    _, history = run(tmp_path, epochs=5, minutes=0.0)
    assert len(history.loss) == 1
    _, history = run(tmp_path, epochs=5, resume=True)
    assert len(history.loss) == 5


def test_other_recipe_is_rejected_with_the_differences(tmp_path):
    run(tmp_path, epochs=1)
    with pytest.raises(InputError, match="width was 8, is 16"):
        run(tmp_path, epochs=2, resume=True, recipe={**RECIPE, "width": 16})


def test_old_run_is_not_overwritten_by_accident(tmp_path):
    run(tmp_path, epochs=1)
    with pytest.raises(InputError, match="--resume"):
        run(tmp_path, epochs=1)


def test_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(InputError, match="learning rate"):
        run(tmp_path, epochs=1, loss=lambda net, batch: loss_of(net, batch) * math.nan)


def test_file_with_code_in_it_is_not_loaded(tmp_path):
    path = tmp_path / LAST
    torch.save({"net": {}, "recipe": Path("/")}, path)  # a class that weights_only does not know
    with pytest.raises(InputError, match="not loaded"):
        read_checkpoint(path)
