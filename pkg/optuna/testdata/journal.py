"""What the tests ask of Optuna itself (versions in requirements.txt).

    python journal.py compare JOURNAL EXPECTED   every trial is as the test wrote it down; then Optuna's plots, importances, dashboard
    python journal.py write JOURNAL              Optuna adds trials, attributes and studies, and deletes one
    python journal.py note JOURNAL COUNT         writes an attribute of the study so many times, as a dashboard that is used
    python journal.py follow JOURNAL COUNT       reads on until so many trials have finished
    python journal.py golden > optuna.journal    made optuna.journal, for the tests without Python
"""
import json
import math
import os
import sys
import tempfile
import time
import warnings
from datetime import datetime, timedelta

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)
NAME = "noise × rate"


def storage(path, **options):
    return JournalStorage(JournalFileBackend(path, **options))


def distribution(p):
    if p["kind"] == "categorical":
        return CategoricalDistribution(p["options"])
    if p["kind"] == "int":
        return IntDistribution(int(p["low"]), int(p["high"]), log=p["log"], step=int(p["step"] or 1))
    return FloatDistribution(p["low"], p["high"], log=p["log"], step=p["step"] or None)


def same(a, b):
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


def want(what, got, expected):
    if not same(got, expected):
        sys.exit(f"{what}: Optuna reads {got!r}, want {expected!r}")


def local(text):
    return datetime.fromisoformat(text).astimezone().replace(tzinfo=None) if text else None


def compare(path, expected):
    e = json.load(open(expected), object_hook=lambda o: float(o["float"]) if o.keys() == {"float"} else o)
    study = optuna.load_study(study_name=e["name"], storage=storage(path))
    want("directions", [d.name for d in study.directions], e["directions"])
    want("metric names", study.metric_names, e["metrics"])
    want("study's attributes", study.user_attrs, e["attrs"])
    space = {p["name"]: distribution(p) for p in e["space"]}
    trials = [t for t in study.trials if "latent.trial" in t.user_attrs]
    want("trials", len(trials), len(e["trials"]))
    for got, trial in zip(trials, e["trials"]):
        name = f"trial {trial['number']}"
        want(f"{name}: number", got.number, trial["optuna"])
        want(f"{name}: state", got.state.name, trial["state"])
        want(f"{name}: distributions", got.distributions, {p: space[p] for p in trial["params"]})
        want(f"{name}: params", got.params, trial["params"])
        want(f"{name}: values", got.values, trial["values"])
        want(f"{name}: intermediate values", got.intermediate_values, {int(s): v for s, v in trial["curve"].items()})
        want(f"{name}: attributes", got.user_attrs, {**trial["attrs"], "latent.trial": trial["number"]})
        want(f"{name}: start", got.datetime_start, local(trial["started"]))
        want(f"{name}: end", got.datetime_complete, local(trial["finished"]))
        for p, value in got.params.items():
            if not got.distributions[p]._contains(got.distributions[p].to_internal_repr(value)):
                sys.exit(f"{name}: {p} cannot be {value}")
    if sum(t.state == TrialState.COMPLETE for t in trials) > 1:
        draw(study)
    dashboard(path, e["name"], len(study.trials))


def draw(study):
    v = optuna.visualization
    several = len(study.directions) > 1
    target = {"target": lambda t: t.values[0], "target_name": "first"} if several else {}
    always = list(optuna.search_space.intersection_search_space(study.trials))
    for plot in (v.plot_optimization_history, v.plot_contour, v.plot_parallel_coordinate, v.plot_slice, v.plot_edf, v.plot_rank):
        params = {} if plot in (v.plot_optimization_history, v.plot_edf) else {"params": always[:3]}
        plot(study, **params, **target).to_json()
    v.plot_timeline(study).to_json()
    if several:
        v.plot_pareto_front(study).to_json()
    else:
        v.plot_intermediate_values(study).to_json()
        v.plot_param_importances(study).to_json()
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=1)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator, target=target.get("target"))
    if not shares or abs(sum(shares.values()) - 1) > 1e-9:
        sys.exit(f"importances {shares}")


def dashboard(path, name, trials):
    from optuna_dashboard import wsgi

    app = wsgi(storage(path))

    def get(url):
        answer = {}

        def start(status, headers, error=None):
            answer["status"] = status

        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": url, "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
                   "wsgi.input": open(os.devnull, "rb"), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http"}
        body = b"".join(app(environ, start))
        if not answer["status"].startswith("200"):
            sys.exit(f"dashboard: {url}: {answer['status']} {body[:500]}")
        return json.loads(body)

    found = [s for s in get("/api/studies")["study_summaries"] if s["study_name"] == name]
    if len(found) != 1:
        sys.exit(f"dashboard: {len(found)} studies {name}")
    shown = get(f"/api/studies/{found[0]['study_id']}")["trials"]
    want("dashboard: trials", len(shown), trials)


def write(path):
    s = storage(path, lock_obj=JournalFileOpenLock(path))
    before = optuna.create_study(storage=s, study_name="deleted in between")
    before.enqueue_trial({"x": 0.5})
    before.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    study = optuna.create_study(storage=s, study_name=NAME, load_if_exists=True)
    study.set_user_attr("seen", {"by": "a person"})
    if not any(t.state == TrialState.WAITING for t in study.trials):
        def objective(t):
            t.report(math.nan, 1)
            t.report(-math.inf, 2)
            t.set_user_attr("hand", "é\n")
            return t.suggest_float("train.learning_rate", 1e-4, 1e-1, log=True)
        study.optimize(objective, n_trials=2)
    after = optuna.create_study(storage=s, study_name="another", directions=["maximize", "minimize"], load_if_exists=True)
    after.add_trial(optuna.trial.create_trial(values=[math.inf, 1.0]))
    optuna.delete_study(study_name="deleted in between", storage=s)


def note(path, count):
    study = optuna.load_study(study_name=NAME, storage=storage(path))
    for i in range(count):
        study.set_user_attr("note", i)


def follow(path, count):
    deadline, seen = time.time() + 120, 0
    s = storage(path)
    while time.time() < deadline:
        done = 0
        if NAME in [x.study_name for x in s.get_all_studies()]:
            done = sum(t.state.is_finished() for t in s.get_all_trials(s.get_study_id_from_name(NAME)))
        if done < seen:
            sys.exit(f"{seen} trials had finished, now {done}")
        seen = done
        if done >= count:
            return
        time.sleep(0.002)
    sys.exit(f"{seen} of {count} trials")


def golden():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "journal")
        write(path)
        sys.stdout.write(open(path).read())


warnings.simplefilter("ignore")
command, arguments = sys.argv[1], sys.argv[2:]
globals()[command](*[int(a) if a.isdigit() else a for a in arguments])
