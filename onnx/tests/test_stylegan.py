"""The StyleGAN2-like generator does what the paper's does, in its other form."""

import pytest

torch = pytest.importorskip("torch")

import stylegan  # noqa: E402
from torch.nn import functional as F  # noqa: E402


@pytest.mark.parametrize("up", [False, True])
def test_scaling_activations_is_scaling_weights(up):
    torch.manual_seed(0)
    layer = stylegan.Modulated(6, 4, 3, up=up)
    x, w = torch.randn(3, 6, 5, 5), torch.randn(3, stylegan.STYLE)
    made = layer(x, w)
    for image, style, row in zip(x, layer.style(w), made, strict=True):
        # Equations 1 and 3 of the paper, for one image.
        weight = layer.weight.transpose(0, 1) if up else layer.weight
        weight = weight * style[None, :, None, None]
        weight = weight * (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        if up:
            wide = F.conv_transpose2d(image[None], weight.transpose(0, 1), stride=2)
            expected = F.conv2d(wide, layer.blur, padding=1, groups=4)
        else:
            expected = F.conv2d(image[None], weight, padding=1)
        torch.testing.assert_close(row[None], expected, atol=1e-4, rtol=1e-4)
    assert made.shape == (3, 4, *(2 * [10 if up else 5]))


def test_images_have_their_size_and_contrast_and_the_same_weights_every_time():
    z = torch.randn(4, stylegan.LATENT, generator=torch.Generator().manual_seed(0))
    images = stylegan.Generator(64)(z)
    assert images.shape == (4, 3, 64, 64)
    # Neither flat nor mostly clamped, and of another latent another image.
    assert 0.1 < images.std() < 0.6 and (images.abs() == 1).float().mean() < 0.1
    assert (images[0] - images[1]).abs().mean() > 0.1
    torch.manual_seed(1)
    assert torch.equal(images, stylegan.Generator(64)(z))


def test_file_and_recipe_are_written(tmp_path):
    done = stylegan.write(64, tmp_path)
    assert done.shape == (3, 64, 64) and done.difference < 1e-4
    recipe = done.recipe.read_text()
    assert 'model = "stylegan-64.onnx"' in recipe and 'role = "latent"' in recipe
