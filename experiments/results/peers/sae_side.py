"""Trains a sparse dictionary with SAELens's own trainer and prints what it came to: python sae_side.py FOLDER '{"kind": "topk", …}'.

FOLDER has train.npy and test.npy, vectors; features.npy, the dictionary that they are sums of; and fires.npy, which features each
test vector has. Figures are SAELens's own, of the dictionary as it is saved for use.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import sae_lens
from sae_lens import SAE
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.evals import ExplainedVarianceCalculator
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
from sae_lens.saes.matryoshka_batchtopk_sae import MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.synthetic.evals import ClassificationMetricsCalculator, mean_correlation_coefficient
from sae_lens.training.sae_trainer import SAETrainer

folder, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
torch.manual_seed(asked["seed"])
train = torch.from_numpy(np.load(folder / "train.npy"))
batch = asked["batch"]
per_epoch = len(train) // batch


def batches():
    """Batches of all vectors in random order, epoch after epoch."""
    while True:
        order = torch.randperm(len(train))
        for first in range(0, per_epoch * batch, batch):
            yield train[order[first:first + batch]]


size = {"d_in": train.shape[1], "d_sae": asked["width"]}
warmup = int(asked.get("warmup", 0) * per_epoch)
sae = {
    "topk": lambda: TopKTrainingSAE(TopKTrainingSAEConfig(k=asked["k"], **size)),
    "batchtopk": lambda: BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=asked["k"], **size)),
    "matryoshka": lambda: MatryoshkaBatchTopKTrainingSAE(MatryoshkaBatchTopKTrainingSAEConfig(
        k=asked["k"], matryoshka_widths=[*asked["prefixes"], asked["width"]], **size)),
    "jumprelu": lambda: JumpReLUTrainingSAE(JumpReLUTrainingSAEConfig(
        l0_coefficient=asked["sparsity"], l0_warm_up_steps=warmup, **size)),
    "relu": lambda: StandardTrainingSAE(StandardTrainingSAEConfig(l1_coefficient=asked["sparsity"], l1_warm_up_steps=warmup, **size)),
}[asked["kind"]]()
steps = asked["epochs"] * per_epoch
trainer = SAETrainer(
    cfg=SAETrainerConfig(
        n_checkpoints=0, checkpoint_path=None, save_final_checkpoint=False, total_training_samples=steps * batch, device="cpu",
        autocast=False, lr=asked["lr"], lr_end=asked["lr"], lr_scheduler_name="constant", lr_warm_up_steps=0, adam_beta1=0.9,
        adam_beta2=0.999, lr_decay_steps=0, n_restart_cycles=1, train_batch_size_samples=batch, dead_feature_window=1000,
        feature_sampling_window=2000, logger=LoggingConfig(log_to_wandb=False), n_batches_for_norm_estimate=1),
    sae=sae, data_provider=batches())
wall, processor = time.perf_counter(), time.process_time()
trainer.fit()
wall, processor = time.perf_counter() - wall, time.process_time() - processor

with tempfile.TemporaryDirectory() as saved:
    sae.save_inference_model(saved)
    sae = SAE.load_from_disk(saved)
x = torch.from_numpy(np.load(folder / "test.npy"))
fires = torch.from_numpy(np.load(folder / "fires.npy"))
features = torch.from_numpy(np.load(folder / "features.npy"))
explained, told = ExplainedVarianceCalculator(), ClassificationMetricsCalculator(sae.W_dec.detach(), features)
with torch.no_grad():
    f = sae.encode(x)
    explained.add_batch(sae.decode(f), x)
    told.add_batch(f, fires)
metrics = told.compute()
print(json.dumps({
    "version": sae_lens.__version__, "steps": steps, "seconds": wall, "processor_seconds": processor,
    "explained_variance": explained.compute(), "l0": (f != 0).sum(-1).float().mean().item(),
    "dead_share": (~(f != 0).any(0)).float().mean().item(), "mcc": mean_correlation_coefficient(sae.W_dec.detach(), features),
    "f1": metrics.f1_score, "latent_precision": metrics.precision, "latent_recall": metrics.recall,
}))
