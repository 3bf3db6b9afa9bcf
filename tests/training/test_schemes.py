"""What a run learns from: augmentations that keep a pair a pair, and objectives against their literal definitions."""

import numpy as np
import pytest
import torch

from n2nlib.data import Pairs
from n2nlib.errors import TrainingError
from n2nlib.models import build
from n2nlib.spec import AUGMENTATIONS, RunSpec
from n2nlib.training.losses import LOSSES
from n2nlib.training.schemes import HIDDEN_OUT_OF_256, Samples, objective, words

N = 96
CPU = torch.device("cpu")


def grid_images(n, offset):
    """Images whose pixels all differ within an image: red is the row, green the column, blue the image and `offset`."""
    image = np.zeros((n, 3, 32, 32), np.uint8)
    image[:, 0], image[:, 1] = np.arange(32)[:, None], np.arange(32)[None]
    image[:, 2] = (2 * np.arange(n) + offset)[:, None, None]
    return image


@pytest.fixture(scope="module")
def pairs():
    a, b, clean = grid_images(N, 0), grid_images(N, 1), grid_images(N, 0)
    return Pairs("grid", a, b, clean, np.arange(N, dtype=np.int32))


def samples(pairs, **changes):
    return Samples(RunSpec(**{"dataset": "grid", "n_train": N, "epochs": 2, **changes}), pairs, CPU, {})


def stored(images):
    """(N,3,H,W) as the engine keeps them: (N,H,W,3)."""
    return torch.from_numpy(images).permute(0, 2, 3, 1)


EVERY = [{}, *({"augment": (a,)} for a in AUGMENTATIONS), {"augment": AUGMENTATIONS},
         {"scheme": "noise2clean"}, {"scheme": "noise2void", "augment": ("flip", "rotate", "shuffle")},
         {"scheme": "neighbor2neighbor", "augment": ("flip", "shuffle")}]  # fmt: skip


@pytest.mark.parametrize("changes", EVERY, ids=str)
def test_the_cut_into_chunks_and_a_resume_change_nothing(pairs, changes):
    whole = samples(pairs, **changes).chunk(1, 0, N)
    in_parts = samples(pairs, **changes)
    in_parts.chunk(0, 0, 64)  # an epoch before it must leave no trace
    parts = [in_parts.chunk(1, start, stop) for start, stop in ((0, 32), (32, 40), (40, N))]
    resumed = samples(pairs, **changes).chunk(1, 40, N)
    for i, tensor in enumerate(whole):
        assert torch.equal(tensor, torch.cat([p[i] for p in parts]))
        assert torch.equal(tensor[40:], resumed[i])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_epoch_and_each_seed_draws_anew(pairs, name):
    first, second = (samples(pairs, augment=(name,)).chunk(epoch, 0, N) for epoch in (0, 1))
    other = samples(pairs, augment=(name,), seed=1).chunk(0, 0, N)
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[0], other[0])


def test_words_are_a_place_in_one_long_stream():
    all_of_them = words(3, "mix", 5, 0, 20, 8)
    assert np.array_equal(words(3, "mix", 5, 7, 6, 8), all_of_them[7:13])
    with pytest.raises(ValueError, match="steps of 4"):
        words(3, "mix", 5, 0, 1, 6)


def test_stored_order_without_augmentation(pairs):
    x, target = samples(pairs).chunk(0, 8, 40)
    assert torch.equal(x, stored(pairs.a)[8:40]) and torch.equal(target, stored(pairs.b)[8:40])
    _, clean = samples(pairs, scheme="noise2clean").chunk(0, 8, 40)
    assert torch.equal(clean, stored(pairs.clean)[8:40])


def test_swap_exchanges_whole_images(pairs):
    x, target = samples(pairs, augment=("swap",)).chunk(0, 0, N)
    a, b = stored(pairs.a), stored(pairs.b)
    swapped = (x == b).flatten(1).all(1)
    assert torch.equal(x, torch.where(swapped.view(-1, 1, 1, 1), b, a))
    assert torch.equal(target, torch.where(swapped.view(-1, 1, 1, 1), a, b))
    assert abs(swapped.sum().item() - N / 2) < 4 * (N / 4) ** 0.5  # 4 sigma of a fair coin


def test_mixing_keeps_both_values_of_every_pixel(pairs):
    x, target = samples(pairs, augment=("mix",)).chunk(0, 0, N)
    a, b = stored(pairs.a), stored(pairs.b)
    assert torch.equal(x.int() + target.int(), a.int() + b.int())
    from_b = (x == b).all(-1)
    assert torch.equal(
        from_b, ~(x == a).all(-1)
    )  # all three channels go together: the noise is one draw for the pixel
    share = from_b.float().mean().item()
    assert abs(share - 0.5) < 4 * 0.5 / (N * 1024) ** 0.5
    # neighbours are assigned independently: correlation within 4 sigma of zero
    bits = from_b.float().numpy() - 0.5
    for shifted, kept in ((bits[:, 1:], bits[:, :-1]), (bits[..., 1:], bits[..., :-1])):
        assert abs((shifted * kept).mean() * 4) < 4 / kept.size**0.5


def test_flip_and_rotation_move_both_images_alike(pairs):
    x, target = samples(pairs, augment=("flip", "rotate")).chunk(0, 0, N)
    assert torch.equal(x[..., :2], target[..., :2])  # where a pixel came from
    assert torch.equal(target[..., 2], x[..., 2] + 1)  # the same image, second copy
    seen = set()
    for image, original in zip(x, stored(pairs.a), strict=True):
        poses = [p.rot90(k, (0, 1)) for p in (original, original.flip(1)) for k in range(4)]
        found = [i for i, pose in enumerate(poses) if torch.equal(image, pose)]
        assert len(found) == 1
        seen |= set(found)
    assert seen == set(range(8))


def test_shuffle_is_a_permutation_of_the_pairs(pairs):
    x, target = samples(pairs, augment=("shuffle",)).chunk(0, 0, N)
    order = x[:, 0, 0, 2] // 2
    assert sorted(order.tolist()) == list(range(N))
    assert torch.equal(target, stored(pairs.b)[order.long()])


def test_noise2void_hides_a_pixel_behind_a_neighbour(pairs):
    x, target, hidden = samples(pairs, scheme="noise2void").chunk(0, 0, N)
    a = stored(pairs.a)
    assert torch.equal(target, a)
    hidden = hidden[..., 0].bool()
    assert torch.equal(x[~hidden], a[~hidden])
    distance = (x.int() - a.int())[..., :2].abs()[hidden]  # rows and columns to where the value came from
    assert distance.max() == 2
    assert (distance.sum(1) > 0).all()  # never the pixel itself
    expected = HIDDEN_OUT_OF_256 / 256
    assert abs(hidden.float().mean().item() - expected) < 4 * (expected / hidden.numel()) ** 0.5


def test_neighbor2neighbor_picks_adjacent_pixels_of_each_cell(pairs):
    y, codes = samples(pairs, scheme="neighbor2neighbor").chunk(0, 0, N)
    assert torch.equal(y, stored(pairs.a)) and codes.shape == (N, 16, 16, 1)
    seen = []

    class Listening(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x

    objective(samples(pairs, scheme="neighbor2neighbor").spec)(Listening(), y, codes)
    whole, first = (torch.round(s * 255).int() for s in seen)
    assert whole.shape == (N, 3, 32, 32) and first.shape == (N, 3, 16, 16)
    row, column = first[:, 0] % 2, first[:, 1] % 2
    assert torch.equal(first[:, 0] // 2, torch.arange(16).view(1, -1, 1).expand(N, 16, 16).int())
    assert torch.equal(first[:, 1] // 2, torch.arange(16).view(1, 1, -1).expand(N, 16, 16).int())
    share = torch.bincount((2 * row + column).flatten(), minlength=4) / row.numel()
    assert (share - 0.25).abs().max() < 4 * (0.25 * 0.75 / row.numel()) ** 0.5


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_objective_of_pairs_is_the_loss_on_unit_images(pairs, loss):
    network = build("TNet", seed=0)
    spec = RunSpec("grid", N, 2, loss=loss)
    x, target = (t[:4] for t in (stored(pairs.a), stored(pairs.b)))
    value = objective(spec)(network, x, target)
    a, b = (torch.from_numpy(v[:4]).float() / 255 for v in (pairs.a, pairs.b))
    assert value.item() == pytest.approx(LOSSES[loss](network(a), b).item(), rel=1e-6)


def test_noise2void_objective_pixel_by_pixel(pairs):
    network = build("TNet", seed=0)
    x, target, hidden = samples(pairs, scheme="noise2void").chunk(0, 0, 2)
    with torch.no_grad():
        y = network(x.permute(0, 3, 1, 2).float() / 255).numpy()
    total, count = 0.0, 0
    for n, i, j in np.argwhere(hidden[..., 0].numpy()):
        total += sum((float(y[n, c, i, j]) - target[n, i, j, c].item() / 255) ** 2 for c in range(3))
        count += 3
    value = objective(RunSpec("grid", N, 2, scheme="noise2void"))(network, x, target, hidden)
    assert value.item() == pytest.approx(total / count, rel=1e-5)


def test_neighbor2neighbor_objective_cell_by_cell(pairs):
    network = build("TNet", seed=0)
    y, codes = samples(pairs, scheme="neighbor2neighbor").chunk(0, 0, 2)
    image = y.permute(0, 3, 1, 2).float() / 255
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]  # the four pixels of a cell: 0 1 / 2 3
    adjacent = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2)]

    def halves(images):
        out = [torch.zeros(2, 3, 16, 16), torch.zeros(2, 3, 16, 16)]
        for n in range(2):
            for i in range(16):
                for j in range(16):
                    for half, pixel in zip(out, adjacent[codes[n, i, j, 0]], strict=True):
                        di, dj = places[pixel]
                        half[n, :, i, j] = images[n, :, 2 * i + di, 2 * j + dj]
        return out

    with torch.no_grad():
        g1, g2 = halves(image)
        d1, d2 = halves(network(image))
        prediction = network(g1)
        expected = ((prediction - g2) ** 2).mean() + ((prediction - g2 - (d1 - d2)) ** 2).mean()
    value = objective(RunSpec("grid", N, 2, scheme="neighbor2neighbor"))(network, y, codes)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_what_the_dataset_lacks_is_said(pairs):
    with pytest.raises(TrainingError, match="clean images"):
        samples(Pairs("no clean", pairs.a, pairs.b, None, pairs.photo), scheme="noise2clean")
    with pytest.raises(TrainingError, match="loss L2"):
        objective(RunSpec("grid", N, 2, scheme="noise2void", loss="L1"))
