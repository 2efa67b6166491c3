"""The networks keep their promises, and training does what it says."""

import io
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import graphs  # noqa: E402
import losses  # noqa: E402
from flow import Flow, fit, log_normal  # noqa: E402
from gan import Pools, Settings, Trainer  # noqa: E402
from networks import LATENT, Folded, Generator, minibatch_deviation  # noqa: E402

ONE_HOT = torch.eye(10)


def stirred_flow(size=8):
    torch.manual_seed(0)
    flow = Flow(size, 10, layers=4, hidden=16)
    for value in flow.parameters():
        value.data += 0.3 * torch.randn_like(value)
    return flow


def stirred_generator():
    torch.manual_seed(0)
    network = Generator()
    for norm in (network.norm7, network.norm14):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.normal_(1, 0.2)
        norm.bias.data.normal_()
    return network.eval()


def test_flow_and_its_inverse_undo_each_other():
    flow, z = stirred_flow(), torch.randn(10, 8)
    back, _ = flow.inverse(flow(z, ONE_HOT), ONE_HOT)
    assert (z - back).abs().max() < 1e-5
    assert (z - flow(z, ONE_HOT)).abs().max() > 0.5


def test_flow_determinant_is_that_of_the_jacobian():
    flow, z = stirred_flow(), torch.randn(1, 8)
    jacobian = torch.autograd.functional.jacobian(lambda point: flow(point[None], ONE_HOT[:1])[0], z[0])
    _, inverse = flow.inverse(flow(z, ONE_HOT[:1]), ONE_HOT[:1])
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(-inverse.item(), abs=1e-4)


def test_flow_depends_on_the_class():
    z = torch.randn(1, 8).expand(10, 8)
    codes = stirred_flow()(z, ONE_HOT)
    assert len({tuple(code.tolist()) for code in codes}) == 10


def test_log_normal_by_hand():
    value = log_normal(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4.0)]]))
    assert value.item() == pytest.approx(-0.5 - math.log(2 * math.pi) - math.log(2))


def test_fitting_finds_two_modes_of_a_class():
    torch.manual_seed(0)
    mode = torch.randint(0, 2, (4000, 1)) * 2.0 - 1
    mean, log_variance = torch.cat([3 * mode, mode], 1), torch.full((4000, 2), math.log(0.25))
    y = ONE_HOT[:1].expand(4000, -1)
    flow = Flow(2, 10, layers=6, hidden=32)
    loss = fit(flow, mean, log_variance, y, steps=800, batch=128, rate=3e-3)
    # Entropy of the mixture: two normals of std 0.5 in two dimensions, and one bit.
    entropy = math.log(2 * math.pi * math.e * 0.25) + math.log(2)
    one_normal = 0.5 * math.log((2 * math.pi * math.e) ** 2 * np.linalg.det(np.cov(mean.T) + 0.25 * np.eye(2)))
    assert entropy - 0.1 < loss < entropy + 0.35
    assert loss < one_normal - 0.2
    with torch.no_grad():
        codes = flow(torch.randn(2000, 2), y[:2000])
    assert 0.4 < (codes[:, 0] > 0).float().mean() < 0.6
    assert ((codes[:, 0].abs() - 3).abs() < 1.5).float().mean() > 0.85


def test_folding_changes_nothing():
    network, z = stirred_generator(), torch.randn(10, LATENT)
    with torch.no_grad():
        assert (network(z, ONE_HOT) - Folded(network)(z, ONE_HOT)).abs().max() < 1e-5


def test_export_round_trip():
    network = stirred_generator()
    trial = {"z": torch.randn(10, LATENT), "y": ONE_HOT}
    model = graphs.to_onnx(Folded(network), trial)
    assert graphs.difference(model, network, trial) < 1e-5
    assert graphs.output_shape(model) == ["N", 1, 28, 28]
    assert not model.graph.value_info
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_difference_notices_another_network():
    network = stirred_generator()
    trial = {"z": torch.randn(10, LATENT), "y": ONE_HOT}
    model = graphs.to_onnx(Folded(network), trial)
    network.up28.bias.data += 0.1
    assert graphs.difference(model, network, trial) > 0.01


def test_deviation_sees_repetition_within_a_group_only():
    # Groups of 4 in a batch of 8: even items one group, odd items the other.
    features = torch.randn(8, 3, 2, 2)
    features[::2] = features[0]
    spread = minibatch_deviation(features, 4)[:, 0, 0, 0]
    assert (spread[::2] < 1e-3).all()
    assert (spread[1::2] > 0.3).all()


def test_pools_keep_groups_and_pass_through_every_image():
    labels = np.repeat(np.arange(10), 8)
    images = np.arange(80, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    pools = Pools(images, labels, seed=0)
    seen = []
    for _ in range(4):  # 20 of the 80 images each: two of every class
        drawn, drawn_labels = pools.draw(20, 2)
        assert torch.equal(drawn_labels[:10], drawn_labels[10:])
        values = ((drawn[:, 0, 0, 0] + 1) * 127.5).round().int()
        assert torch.equal(drawn_labels, torch.from_numpy(labels)[values])
        seen += values.tolist()
    assert sorted(seen) == list(range(80))


def test_pairing_loss():
    assert losses.pairing(torch.tensor([0.0]), torch.tensor([0.0])).item() == pytest.approx(math.log(2))
    assert losses.pairing(torch.tensor([9.0]), torch.tensor([0.0])) < 1e-3


def test_gradient_penalty_of_a_linear_score():
    weight = torch.full((1, 28, 28), 0.5)
    penalty = losses.gradient_penalty(lambda images, _: (images * weight).sum((1, 2, 3)), torch.randn(3, 1, 28, 28), None)
    assert penalty.item() == pytest.approx(784 * 0.25)


def bars(count=320):
    """Images whose class is the row of a bright bar."""
    labels = np.arange(count) % 10
    images = np.zeros((count, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 3 : 2 * label + 6] = 255
    return images, labels


def test_training_learns_and_resumes_where_it_was():
    images, labels = bars()
    settings = Settings(steps=100, batch=32, warm_up=60, soft=40, head_start=5, flow_steps=300, flow_batch=64)
    trainer, pools = Trainer(settings, seed=0), Pools(images, labels, seed=0)
    errors, keys = [], set()
    for _ in range(70):
        report = trainer.step(*pools.draw(32, 4))
        errors.append(report["error"].item())
        keys |= set(report)
    assert min(errors[40:60]) < 0.3 * errors[0]
    assert {"adversarial", "discriminator", "penalty"} <= keys
    first, last = (trainer.fit_flow(pools.images, pools.labels) for _ in range(2))
    assert last < first
    checkpoint = io.BytesIO()
    torch.save(trainer.state(), checkpoint)
    checkpoint.seek(0)
    copy = Trainer(settings, seed=1)
    copy.restore(torch.load(checkpoint, weights_only=True))
    batch = pools.draw(32, 4)
    for each in (trainer, copy):
        torch.manual_seed(5)
        each.step(*batch)
    for one, other in zip(trainer.averaged(2).parameters(), copy.averaged(2).parameters(), strict=True):
        assert torch.equal(one, other)
