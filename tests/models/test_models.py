"""The networks: sizes, shapes and numbers as the authors' code has them, their summary, and the figure drawn from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch.utils.flop_counter import FlopCounterMode

from n2nlib.display.network import diagram, network_figure
from n2nlib.errors import ReportError
from n2nlib.models import BaseNet, TNet, UNet, build, count_parameters
from n2nlib.models.layers import ConvAfterDoubling
from n2nlib.models.summary import summary, trace

NETWORKS = [
    ("TNet", {}, 43_064),
    ("TNet", {"batch_norm": True}, 43_486),
    ("UNet", {}, 991_203),
    ("UNet", {"shared_decoder": True}, 576_099),
    ("BaseNet", {}, 166_923),
]


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name, options, parameters", NETWORKS)
def test_parameter_counts(name, options, parameters):
    assert count_parameters(build(name, seed=0, **options)) == parameters


def test_options_change_the_count_as_computed_by_hand():
    # conv3 32 -> 64, conv4 128 -> 32
    wide = (32 * 9 + 1) * 32 + 64 * 9 * 32
    assert count_parameters(TNet(embedding=64)) == 43_064 + wide
    # without skips conv4..conv7 take half the channels
    assert count_parameters(TNet(skips=False)) == 43_064 - 9 * (32 * 32 + 32 * 16 + 16 * 3 + 3 * 3)
    # depthwise convolutions: 16 of 2x2, 32 of 4x4 twice, each with a bias; under 3 % more
    strided = 16 * (4 + 1) + 2 * 32 * (16 + 1)
    assert count_parameters(TNet(pool="stride")) == 43_064 + strided and strided < 0.03 * 43_064
    for options in ({"dropout": 0.1}, {"pool": "average"}, {"activation": "relu"}):
        assert count_parameters(TNet(**options)) == 43_064


def literal(network: TNet, x, sigma=lambda t: F.leaky_relu(t, 0.1)):
    """TNet word for word as the authors' code has it: the activation first, then the pooling."""
    n = network
    up = lambda t, k: F.interpolate(t, scale_factor=k, mode="nearest")  # noqa: E731
    x1 = n.norm1(sigma(n.conv1(sigma(x))))
    x2 = n.norm2(sigma(n.conv2(F.max_pool2d(sigma(x1), 2))))
    x3 = n.norm3(sigma(n.conv3(F.max_pool2d(sigma(x2), 4))))
    z = sigma(F.max_pool2d(sigma(x3), 4))
    x4 = n.norm4(torch.cat([up(z, 4), x3], 1))
    x5 = n.norm5(torch.cat([up(sigma(n.conv4(sigma(x4))), 4), x2], 1))
    x6 = torch.cat([up(sigma(n.conv5(sigma(x5))), 2), x1], 1)
    x7 = n.norm6(sigma(n.conv6(x6)))
    y = sigma(n.conv7(torch.cat([x7, x], 1)))
    return {"x1": x1, "x2": x2, "x3": x3, "z": z, "x4": x4, "x5": x5, "x6": x6, "x7": x7, "y": y}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_pooling_before_the_activation_gives_the_same_numbers(batch_norm):
    """TNet pools before it activates, which saves time: forward and gradients are those of the literal order.

    The activation never decreases, so max and activation exchange exactly: the output must agree to the
    bit. Gradients are sums taken in another order: float32 to 1e-5 of the largest one.
    """
    network, x, target = (
        build("TNet", seed=3, batch_norm=batch_norm),
        images(4, 3, 32, 32),
        images(4, 3, 32, 32, seed=1),
    )
    network.conv6.textbook = True
    theirs = literal(network, x)["y"]
    F.mse_loss(theirs, target).backward()
    wanted = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    ours = network(x)
    F.mse_loss(ours, target).backward()
    assert torch.equal(ours, theirs)
    for p, w in zip(network.parameters(), wanted, strict=True):
        assert torch.allclose(p.grad, w, rtol=0, atol=1e-5 * float(w.abs().max()))


@pytest.mark.parametrize(
    ("low", "skip", "outputs"), [(16, 16, 3), (96, 3, 64), (16, 0, 3)], ids=["TNet", "UNet", "no skip"]
)
def test_doubling_and_convolving_at_once_gives_the_same_numbers(low, skip, outputs):
    """Float32 sums in another order: outputs and gradients agree to 1e-5 of the largest, a hundred roundings."""
    conv, up = build_layer(low + skip, outputs), torch.nn.Upsample(scale_factor=2)
    inputs = [
        images(2, low, 8, 10).requires_grad_(),
        *([images(2, skip, 16, 20, seed=1).requires_grad_()] if skip else []),
    ]
    wanted = images(2, outputs, 16, 20, seed=2)
    found = []
    for conv.textbook in (True, False):
        out = conv.after(up, *inputs)
        found.append([out, *torch.autograd.grad(((out - wanted) ** 2).sum(), [*inputs, *conv.parameters()])])
    for theirs, ours in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-5 * float(theirs.detach().abs().max()))
    conv.eval()
    assert torch.equal(conv.after(up, *inputs), found[0][0]), "in eval mode the published steps, to the bit"


def test_another_upsampling_is_left_as_it_is():
    conv, up = ConvAfterDoubling(4, 3), torch.nn.Upsample(scale_factor=2, mode="bilinear")
    low = images(2, 4, 8, 10)
    torch.testing.assert_close(conv.train().after(up, low), conv(up(low)), rtol=0, atol=0)


def build_layer(inputs: int, outputs: int) -> ConvAfterDoubling:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConvAfterDoubling(inputs, outputs)


def test_average_pooling_is_not_exchanged_with_the_activation():
    network, x = build("TNet", seed=0, pool="average"), images(2, 3, 32, 32)
    inside = network.conv2(
        F.avg_pool2d(F.leaky_relu(network.norm1(F.leaky_relu(network.conv1(x), 0.1)), 0.1), 2)
    )
    seen = []
    network.conv2.register_forward_hook(lambda m, i, o: seen.append(o))
    network(x)
    assert torch.equal(seen[0], inside)


def test_tnet_shapes():
    shapes = {k: tuple(v.shape[1:]) for k, v in literal(TNet(), images(1, 3, 32, 32)).items()}
    assert shapes == {
        "x1": (16, 32, 32), "x2": (32, 16, 16), "x3": (32, 4, 4), "z": (32, 1, 1), "x4": (64, 4, 4),
        "x5": (64, 16, 16), "x6": (32, 32, 32), "x7": (3, 32, 32), "y": (3, 32, 32),
    }  # fmt: skip
    seen = {s.name: s.shape for s in trace(TNet())}
    for layer, key in {
        "conv1": "x1",
        "conv2": "x2",
        "conv3": "x3",
        "pool3": "z",
        "conv6": "x7",
        "conv7": "y",
    }.items():
        assert seen[layer] == shapes[key]
    joined = [s.shape for s in trace(TNet()) if s.kind == "concatenation"]
    assert joined == [shapes["x4"], shapes["x5"], shapes["x6"], (6, 32, 32)]


@pytest.mark.parametrize("network", [TNet(), UNet()], ids=["TNet", "UNet"])
@pytest.mark.parametrize("size", [(32, 32), (64, 96), (33, 47), (1, 5), (100, 32)])
def test_any_size(network, size):
    network.eval()
    x = images(1, 3, *size)
    with torch.no_grad():
        y = network(x)
        assert y.shape == x.shape
        # padding repeats the border at the bottom and right, and the padding is cut off again
        bottom, right = -size[0] % 32, -size[1] % 32
        padded = network(F.pad(x, (0, right, 0, bottom), mode="replicate"))
    assert torch.equal(y, padded[..., : size[0], : size[1]])


def test_basenet_says_which_size_it_takes():
    with pytest.raises(ValueError, match=r"32x32.*64"):
        BaseNet()(images(1, 3, 64, 64))


@pytest.mark.parametrize("name, options, _", NETWORKS)
def test_state_is_in_layer_order(name, options, _):
    """The order of the state is the order in which an image meets the layers, so that weights can be read in order."""
    network = build(name, seed=0, **options)
    state = list(dict.fromkeys(key.rpartition(".")[0] for key in network.state_dict()))
    with_parameters = {
        name for name, m in network.named_modules() if next(m.parameters(recurse=False), None) is not None
    }
    met = list(dict.fromkeys(step.name for step in trace(network) if step.name in with_parameters))
    assert state == met


def test_seed_names_the_weights_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    a, b, c = build("TNet", seed=0), build("TNet", seed=0), build("TNet", seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.conv1.weight, c.conv1.weight)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: build("TNett"), "did you mean 'TNet'"),
        (lambda: build("TNet", batchnorm=True), "did you mean 'batch_norm'"),
        (lambda: build("TNet", pool="maxx"), "choose one of max, average, stride"),
        (lambda: build("TNet", dropout=1.5), "1.5"),
        (lambda: build("UNet", shared=True), "did you mean 'shared_decoder'"),
    ],
)
def test_unknown_names(call, says):
    with pytest.raises(ReportError, match=says):
        call()


def test_dropout_keeps_the_mean_and_draws_from_its_own_generator():
    from n2nlib.models.layers import Dropout

    drop, x = Dropout(0.3), torch.ones(100_000)
    drop.generator = torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    y = drop(x)
    assert torch.equal(torch.get_rng_state(), before)
    # each value is 0 or 1/0.7, with standard deviation sqrt(0.3/0.7): 4 sigma of the mean of 10^5
    assert abs(float(y.mean()) - 1) < 4 * np.sqrt(0.3 / 0.7 / 1e5)
    assert sorted(set(y.tolist())) == pytest.approx([0, 1 / 0.7])
    assert drop.eval()(x) is x


# --- summary ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, options, parameters", NETWORKS)
def test_summary_counts(name, options, parameters):
    """Parameters once, multiply-adds at each use: half of the floating-point operations that PyTorch counts itself."""
    network = build(name, seed=0, **options)
    table = summary(network)
    rows, total = table.iloc[:-1], table.iloc[-1]
    assert total["parameters"] == rows["parameters"].sum() == parameters
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(images(1, 3, 32, 32))
    norms = sum(
        np.prod(s.shape) for s in trace(network) if s.kind == "normalisation"
    )  # which PyTorch does not count
    assert total["MACs"] == rows["MACs"].sum() == counter.get_total_flops() // 2 + norms


def test_summary_marks_what_is_used_again():
    table = summary(UNet(shared_decoder=True))
    again = table[table["layer"].str.endswith("(again)")]
    assert list(again["layer"]) == ["decode3.0.0 (again)", "decode3.1.0 (again)"] * 2
    assert (again["parameters"] == 0).all() and (again["MACs"] > 0).all()
    # counted at each use, the shared network's weights are the unshared one's
    at_each_use = sum(
        table.loc[table["layer"] == row.removesuffix(" (again)"), "parameters"].item()
        for row in again["layer"]
    )
    assert table["parameters"].iloc[-1] + at_each_use == 991_203


def test_summary_sees_what_stands_between_layers():
    class Residual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return x + torch.relu(self.conv(x))

    network = Residual().train()
    steps = trace(network, (3, 8, 8))
    assert [(s.kind, s.text, s.inputs) for s in steps] == [
        ("input", "image", ()),
        ("convolution", "convolution 3×3, 3 → 3", (0,)),
        ("other", "relu", (1,)),
        ("other", "add", (0, 2)),
    ]
    assert network.training and not network.conv._forward_hooks
    assert diagram(network, (3, 8, 8)).skips == [(0, 1)]


def test_trace_at_another_size():
    assert trace(TNet(), (3, 64, 96))[-1].shape == (3, 64, 96)
    inside = {s.name: s.shape for s in trace(TNet(), (3, 40, 50))}
    assert inside["pad"] == (3, 64, 64) and inside["conv7"] == (3, 64, 64)


# --- Figure 1 -----------------------------------------------------------------------------------------------


def channels(network):
    return [block.channels for block in diagram(network).blocks]


def test_diagram_of_tnet():
    plan = diagram(TNet())
    assert [(b.channels, b.height) for b in plan.blocks] == [
        (3, 32), (16, 32), (16, 16), (32, 16), (32, 4), (32, 4), (32, 1),
        (64, 4), (32, 4), (64, 16), (16, 16), (32, 32), (6, 32), (3, 32),
    ]  # fmt: skip
    assert plan.skips == [(5, 7), (3, 9), (1, 11), (0, 12)]
    assert [a.kind for a in plan.arrows].count("convolution") == 7


def test_another_network_is_another_drawing():
    """The drawing follows the object: skips, widths, pooling, activation, norm and shared weights all show in it."""
    plain = diagram(TNet())
    assert diagram(TNet(skips=False)).skips == []
    assert channels(TNet(embedding=64))[5:8] == [64, 64, 128]
    assert {a.kind for a in diagram(TNet(pool="stride")).arrows} == {"convolution", "strided", "upsampling"}
    assert diagram(TNet(activation="relu")).activations == ["ReLU"] and plain.activations == [
        "LeakyReLU(0.1)"
    ]
    assert sum("batch normalisation" in b.marks for b in diagram(TNet(batch_norm=True)).blocks) == 6
    assert sum("dropout 0.1" in b.marks for b in diagram(TNet(dropout=0.1)).blocks) == 5
    assert sum(a.kind == "shared" for a in diagram(UNet(shared_decoder=True)).arrows) == 6
    assert not any(a.kind == "shared" for a in diagram(UNet()).arrows)
    assert len(diagram(UNet()).skips) == 5 and diagram(BaseNet()).skips == []


def drawn(network):
    canvas = FigureCanvasAgg(network_figure(network))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def test_the_picture_itself_changes():
    plain = drawn(TNet())
    assert np.array_equal(plain, drawn(TNet()))
    for options in ({"skips": False}, {"embedding": 64}, {"pool": "average"}, {"activation": "relu"}):
        other = drawn(TNet(**options))
        assert other.shape != plain.shape or not np.array_equal(other, plain), options


def test_nothing_is_drawn_outside_the_page():
    for network in (TNet(), UNet(shared_decoder=True), BaseNet()):
        fig = network_figure(network)
        FigureCanvasAgg(fig).draw()
        page = fig.bbox
        for artist in [*fig.axes[0].texts, *fig.axes[0].patches, fig.axes[0].get_legend()]:
            box = artist.get_window_extent()
            assert (
                box.x0 >= page.x0 - 1
                and box.x1 <= page.x1 + 1
                and box.y0 >= page.y0 - 1
                and box.y1 <= page.y1 + 1
            ), artist
