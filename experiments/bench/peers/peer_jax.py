"""JAX, as its users write it: python peer_jax.py DATA step|scan"""
import functools
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

import contestant

data = jnp.asarray(contestant.training_images())


def init(key, sizes):
    """Parameters drawn as PyTorch's Linear does, and Adam's state."""
    params = []
    for key, fan_in, fan_out in zip(random.split(key, len(sizes) - 1), sizes, sizes[1:]):
        weight, bias = random.split(key)
        limit = fan_in**-0.5
        params.append((random.uniform(weight, (fan_in, fan_out), minval=-limit, maxval=limit),
                       random.uniform(bias, (fan_out,), minval=-limit, maxval=limit)))
    # Two arrays of zeros for each: a donated buffer cannot be given twice.
    return params, jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params), 0


def model(params, x):
    *hidden, (weight, bias) = params
    for w, b in hidden:
        x = jax.nn.relu(x @ w + b)
    return jnp.tanh(x @ weight + bias)


def step(state, key, rows):
    """One step of Adam on a batch of bytes: the new state and the batch's loss."""
    params, m, v, t = state
    x = rows.astype(jnp.float32) / 127.5 - 1
    damaged = jnp.clip(x + 0.3 * random.normal(key, x.shape), -1, 1)
    loss, grads = jax.value_and_grad(lambda params: jnp.mean((model(params, damaged) - x) ** 2))(params)
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    params = jax.tree.map(
        lambda p, m, v: p - 1e-3 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), params, m, v)
    return (params, m, v, t), loss


def scanned_epoch(batch, data, state, key):
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


jitted_step = jax.jit(lambda data, state, key, index: step(state, key, data[index]), donate_argnums=1)


def stepped_epoch(batch, data, state, key):
    """The same, a call for each step."""
    n = len(data)
    shuffle, noise = random.split(key)
    order = np.asarray(random.permutation(shuffle, n))
    total = 0
    for first, key in zip(range(0, n, batch), random.split(noise, -(-n // batch))):
        index = order[first : first + batch]
        state, loss = jitted_step(data, state, key, index)
        total += loss * len(index)
    return state, total / n


@functools.cache
def program(batch, runs):
    if sys.argv[2] == "step":
        return functools.partial(stepped_epoch, batch)
    epoch = functools.partial(scanned_epoch, batch)
    if runs > 1:
        epoch = jax.vmap(epoch, in_axes=(None, 0, 0))
    return jax.jit(epoch, donate_argnums=1)


def epoch(images, batch, width, runs, seed):
    """The first epoch of so many runs at once."""
    sizes = contestant.sizes(width)
    keys = jax.vmap(random.split)(random.split(random.key(seed), runs))
    if runs == 1:
        state, key = init(keys[0, 0], sizes), keys[0, 1]
    else:
        state, key = jax.vmap(lambda key: init(key, sizes))(keys[:, 0]), keys[:, 1]
    part = data[:images]
    jax.block_until_ready((state, key, part))
    start = time.perf_counter()
    state, loss = jax.block_until_ready(program(batch, runs)(part, state, key))
    return {"seconds": time.perf_counter() - start, "loss": float(jnp.mean(loss))}


contestant.serve({"epoch": epoch})
