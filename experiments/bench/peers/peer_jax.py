"""JAX, as its users write it: python peer_jax.py DATA step|scan"""
import contextlib
import functools
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

import contestant
from jax_models import MODELS, draw

data = jnp.asarray(contestant.training_images())


def computing_in(precision):
    """What products are computed in; but for float32, what XLA chooses by itself: TF32 on GPUs that have it."""
    return jax.default_matmul_precision("highest") if precision == "float32" else contextlib.nullcontext()


def init(key, layers):
    """Parameters and Adam's state."""
    params = draw(key, layers)
    # Two arrays of zeros for each: a donated buffer cannot be given twice.
    return params, jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params), 0


def step_of(model, dtype, rate):
    """One step of Adam on a batch of bytes: from state, key and rows to the new state and the batch's loss."""

    def loss_of(params, damaged, x):
        params, damaged = jax.tree.map(lambda a: a.astype(dtype), (params, damaged))
        return jnp.mean((model(params, damaged).astype(jnp.float32) - x) ** 2)

    def step(state, key, rows):
        params, m, v, t = state
        x = rows.astype(jnp.float32) / 127.5 - 1
        damaged = jnp.clip(x + 0.3 * random.normal(key, x.shape), -1, 1)
        loss, grads = jax.value_and_grad(loss_of)(params, damaged, x)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        params = jax.tree.map(
            lambda p, m, v: p - rate * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), params, m, v)
        return (params, m, v, t), loss

    return step


def scanned_epoch(step, batch, data, state, key):
    """All steps of an epoch, the last short batch included: the new state and the mean loss."""
    n = len(data)
    shuffle, noise, last = random.split(key, 3)
    order = random.permutation(shuffle, n)
    full = n // batch
    batches = order[: full * batch].reshape(full, batch)
    state, losses = lax.scan(lambda state, b: step(state, b[0], data[b[1]]), state, (random.split(noise, full), batches))
    total = losses.sum() * batch
    if rest := n % batch:
        state, loss = step(state, last, data[order[-rest:]])
        total += loss * rest
    return state, total / n


def stepped_epoch(step, batch, data, state, key):
    """The same, a call for each step."""
    n = len(data)
    shuffle, noise = random.split(key)
    order = np.asarray(random.permutation(shuffle, n))
    total = 0
    for first, key in zip(range(0, n, batch), random.split(noise, -(-n // batch))):
        index = order[first : first + batch]
        state, loss = step(data, state, key, index)
        total += loss * len(index)
    return state, total / n


@functools.cache
def program(batch, runs, model, dtype, rate):
    step = step_of(model, dtype, rate)
    if sys.argv[2] == "step":
        jitted = jax.jit(lambda data, state, key, index: step(state, key, data[index]), donate_argnums=1)
        return functools.partial(stepped_epoch, jitted, batch)
    epoch = functools.partial(scanned_epoch, step, batch)
    if runs > 1:
        epoch = jax.vmap(epoch, in_axes=(None, 0, 0))
    return jax.jit(epoch, donate_argnums=1)


def epoch(images, batch, width, runs, seed, rate=1e-3, model="", precision=""):
    """The first epoch of so many runs at once."""
    layers_of, function = MODELS[model]
    layers = layers_of(width)
    keys = jax.vmap(random.split)(random.split(random.key(seed), runs))
    if runs == 1:
        state, key = init(keys[0, 0], layers), keys[0, 1]
    else:
        state, key = jax.vmap(lambda key: init(key, layers))(keys[:, 0]), keys[:, 1]
    part = data[:images]
    jax.block_until_ready((state, key, part))
    run = program(batch, runs, function, jnp.bfloat16 if precision == "bfloat16" else jnp.float32, rate)
    with computing_in(precision):
        start = time.perf_counter()
        state, loss = jax.block_until_ready(run(part, state, key))
        return {"seconds": time.perf_counter() - start, "loss": float(jnp.mean(loss))}


def denoise(folder, model="", **work):
    layers_of, function = MODELS[model]
    params = [(weight[::-1, ::-1] if weight.shape[:2] == (2, 2) else weight, bias)  # of a transposed convolution
              for weight, bias in contestant.weights(folder, layers_of())]
    params, restore = jax.tree.map(jnp.asarray, params), jax.jit(function)
    with computing_in("float32"):
        return contestant.denoised(folder, reconstruct=lambda x: np.asarray(restore(params, x)), **work)


contestant.serve({"epoch": epoch, "denoise": denoise})
