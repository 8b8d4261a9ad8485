"""Writes golden.json: five steps of every optimizer by Optax, on fixed gradients.

    python golden.py > golden.json        (Optax 0.2.8, JAX 0.10.2)
"""
import json

import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import numpy as np
import optax

rng = np.random.default_rng(3)
start = np.round(rng.normal(size=6), 2)
gradients = np.round(rng.normal(size=(5, 6)), 2)
gradients[2] *= 100  # an outburst, for clipping and for second moments

RATE, BETA1, BETA2, EPSILON, MOMENTUM, DECAY, CLIP = 0.1, 0.8, 0.95, 1e-3, 0.7, 0.05, 1.5
optimizers = {
    "adam": optax.adam(RATE, b1=BETA1, b2=BETA2, eps=EPSILON),
    "adamw": optax.adamw(RATE, b1=BETA1, b2=BETA2, eps=EPSILON, weight_decay=DECAY),
    "sgd": optax.sgd(RATE, momentum=MOMENTUM),
    # PyTorch's and the lecture's form: ε outside the root.
    "rmsprop": optax.rmsprop(RATE, decay=BETA2, eps=EPSILON, eps_in_sqrt=False),
}
cases = []
for name, optimizer in optimizers.items():
    for clip in (0, CLIP):
        chain = optax.chain(optax.clip_by_global_norm(clip), optimizer) if clip else optimizer
        value = jnp.array(start)
        state = chain.init(value)
        path = []
        for gradient in gradients:
            update, state = chain.update(jnp.array(gradient), state, value)
            value = optax.apply_updates(value, update)
            path.append(np.asarray(value).tolist())
        cases.append({"optimizer": name, "clip_norm": clip, "values": path})
print(json.dumps({
    "learning_rate": RATE, "beta1": BETA1, "beta2": BETA2, "epsilon": EPSILON, "momentum": MOMENTUM,
    "weight_decay": DECAY, "start": start.tolist(), "gradients": gradients.tolist(), "cases": cases,
}))
