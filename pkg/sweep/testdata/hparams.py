"""Prints what TensorBoard's HParams plugin answers of the sweep in a folder: python hparams.py FOLDER TRIALS"""
import json
import sys
import time
import urllib.request

from tensorboard import program

folder, trials = sys.argv[1], int(sys.argv[2])
server = program.TensorBoard()
server.configure(logdir=folder, port=0, load_fast="false")
url = server.launch()


def ask(what, request):
    query = urllib.request.Request(url + "data/plugin/hparams/" + what, json.dumps(request).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(query))


every = {"allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"], "sliceSize": 1000}
groups = []
deadline = time.time() + 60
while len(groups) < trials and time.time() < deadline:  # it reads in the background
    time.sleep(0.5)
    experiment = ask("experiment", {})
    metrics = [{"metric": info["name"]} for info in experiment.get("metricInfos", [])]
    parameters = [{"hparam": info["name"]} for info in experiment.get("hparamInfos", [])]
    groups = ask("session_groups", dict(every, colParams=parameters + metrics)).get("sessionGroups", [])
print(json.dumps({
    "hparams": [info["name"] for info in experiment["hparamInfos"]],
    "metrics": [info["name"]["tag"] for info in experiment["metricInfos"]],
    "groups": {group["name"]: {
        "hparams": group["hparams"],
        "metrics": {value["name"]["tag"]: value["value"] for value in group.get("metricValues", [])},
        "status": [session["status"] for session in group["sessions"]],
    } for group in groups},
}))
