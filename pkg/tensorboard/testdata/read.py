"""Prints what TensorBoard reads in the folder of an experiment with a run in it: python read.py FOLDER"""
import io
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

folder = sys.argv[1]


def plugin(directory):
    """The messages of the HParams plugin in a folder's file."""
    found = {}
    for raw in RawEventFileLoader(f"{directory}/events.out.tfevents.latent").Load():  # checks the checksums
        for value in event_pb2.Event.FromString(raw).summary.value:
            if value.metadata.plugin_data.plugin_name == "hparams":
                found[value.tag] = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    return found


run = EventAccumulator(f"{folder}/run", size_guidance={"scalars": 0, "images": 0, "histograms": 0})
run.Reload()
start = plugin(f"{folder}/run")["_hparams_/session_start_info"].session_start_info
experiment = plugin(folder)["_hparams_/experiment"].experiment
print(json.dumps({
    "scalars": {tag: [[e.step, e.value, e.wall_time] for e in run.Scalars(tag)] for tag in run.Tags()["scalars"]},
    "images": {tag: [[e.step, e.width, e.height, len(e.encoded_image_string)] for e in run.Images(tag)] for tag in run.Tags()["images"]},
    "histograms": {tag: [[e.step, e.histogram_value.num, e.histogram_value.sum, sum(e.histogram_value.bucket)]
                         for e in run.Histograms(tag)] for tag in run.Tags()["histograms"]},
    "hparams": {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()},
    "group": start.group_name,
    "status": plugin(f"{folder}/run")["_hparams_/session_end_info"].session_end_info.status,
    "infos": {info.name: info.type for info in experiment.hparam_infos},
    "metrics": [info.name.tag for info in experiment.metric_infos],
}))
