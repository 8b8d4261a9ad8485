"""The models in JAX: for each its parameters and its function, from rows of pixels to rows of pixels."""
import jax
import jax.numpy as jnp
from jax import lax, random

from contestant import CHANNELS, dense_layers, unet_layers


def draw(key, layers):
    """Weights and biases of (shape, fan-in), drawn as PyTorch does."""
    params = []
    for key, (shape, fan_in) in zip(random.split(key, len(layers)), layers):
        weight, bias = random.split(key)
        limit = fan_in**-0.5
        params.append((random.uniform(weight, shape, minval=-limit, maxval=limit),
                       random.uniform(bias, shape[-1:], minval=-limit, maxval=limit)))
    return params


def dense(params, x):
    """A linear layer between each two sizes, ReLU between them, tanh at the end."""
    *hidden, (weight, bias) = params
    for w, b in hidden:
        x = jax.nn.relu(x @ w + b)
    return jnp.tanh(x @ weight + bias)


LAYOUT = ("NHWC", "HWIO", "NHWC")


def unet(params, rows):
    """Two 3×3 convolutions a level, max pooling, transposed convolutions, skip connections; what comes out is added to the rows."""
    params = iter(params)

    def conv(x):
        weight, bias = next(params)
        return lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=LAYOUT) + bias

    def widen(x):
        weight, bias = next(params)  # the kernels lie the other way round than PyTorch's
        return lax.conv_transpose(x, weight, (2, 2), "VALID", dimension_numbers=LAYOUT) + bias

    def level(x):
        return jax.nn.relu(conv(jax.nn.relu(conv(x))))

    def pool(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    h, skips = level(rows.reshape(-1, 28, 28, 1)), []
    for _ in CHANNELS[1:]:
        skips.append(h)
        h = level(pool(h))
    while skips:
        h = level(jnp.concatenate([skips.pop(), widen(h)], -1))
    return rows + conv(h).reshape(rows.shape)


MODELS = {"": (dense_layers, dense), "residual unet": (unet_layers, unet)}
