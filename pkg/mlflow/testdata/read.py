"""Prints as JSON all that an MLflow server has of its runs: read.py URI"""

import base64
import json
import sys

from mlflow import MlflowClient
from mlflow.entities import ViewType

client = MlflowClient(sys.argv[1])
runs = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
        id = run.info.run_id

        def files(path=None):
            for file in client.list_artifacts(id, path):
                yield from files(file.path) if file.is_dir else [file.path]

        runs.append({
            "ID": id,
            "Experiment": experiment.name,
            "Name": run.info.run_name,
            "Status": run.info.status,
            "Start": run.info.start_time,
            "End": run.info.end_time,
            "Params": run.data.params,
            "Tags": {key: value for key, value in run.data.tags.items() if key != "mlflow.runName"},
            "Metrics": {
                key: [{"Value": repr(m.value), "Timestamp": m.timestamp, "Step": m.step} for m in client.get_metric_history(id, key)]
                for key in run.data.metrics
            },
            "Files": {name: base64.b64encode(open(client.download_artifacts(id, name), "rb").read()).decode() for name in files()},
        })
print(json.dumps(runs))
