"""A sweep of one-epoch trials with Optuna and PyTorch: python peer_optuna.py DATA REQUEST

REQUEST is JSON; what is printed are the trials' losses. Each trial is given to the study before, so that all contestants
train the same ones; how the next is chosen costs Optuna nothing then. Several processes share the study's journal.
"""
import json
import multiprocessing
import sys

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import contestant
import dense

request = json.loads(sys.argv[2])


def open_study():
    storage = JournalStorage(JournalFileBackend(request["journal"]))
    return optuna.create_study(study_name="bench", storage=storage, load_if_exists=True)


def work(trials):
    if request["threads"]:
        torch.set_num_threads(request["threads"])
    data = torch.from_numpy(contestant.training_images())
    training, held_out = data[: request["images"]], data[-request["held_out"] :]

    def objective(trial):
        torch.manual_seed(request["seed"] + trial.number)
        net = dense.autoencoder()
        optimizer = torch.optim.Adam(net.parameters(), lr=trial.suggest_float("learning_rate", 1e-5, 1, log=True), fused=True)
        for index in torch.randperm(len(training)).split(128):
            loss = dense.denoising_loss(net, training[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.inference_mode():
            torch.manual_seed(0)
            losses = [dense.denoising_loss(net, rows) * len(rows) for rows in held_out.split(1000)]
            return sum(losses).item() / len(held_out)

    open_study().optimize(objective, n_trials=trials)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, rates, processes = open_study(), request["rates"], request["processes"]
    for rate in rates:
        study.enqueue_trial({"learning_rate": rate})
    if processes == 1:
        work(len(rates))
    else:
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=work, args=(len(rates) // processes,)) for _ in range(processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            if worker.exitcode:
                sys.exit(worker.exitcode)
    print(json.dumps([trial.value for trial in study.get_trials()]))
