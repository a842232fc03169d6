"""The scripts for clusters start every process with all that it needs to know; the slow tests train with them.

The cluster is this machine: stand-ins for srun, ssh and gcloud start two local processes with the environment variables
that the cluster would set. The scripts themselves run unchanged.
"""

import contextlib
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest
import yaml

from gan_jax import main
from gan_jax.runtime import relay

ROOT = pathlib.Path(__file__).parent.parent
LAUNCH = ROOT / 'tools' / 'launch'
TRAINING = ('--config', 'configs/toy.py', '--config.duration=20 steps', '--config.log_every=10 steps')
_BOTH = """#!/bin/bash
highest=0
for i in 0 1; do {start} & started+=($!); done
for process in "${{started[@]}}"; do wait $process; code=$?; [ $code -gt $highest ] && highest=$code; done
exit $highest
"""
STAND_INS = {
    'srun': _BOTH.format(
        start='SLURM_PROCID=$i SLURM_LOCALID=$i SLURM_NTASKS=2 SLURM_STEP_NODELIST=localhost,other "$@"'
    ),
    'scontrol': '#!/bin/bash\necho scontrol "$@" >> "$HEARD"\n',
    'ssh': '#!/bin/bash\necho ssh "${@:1:2}" >> "$HEARD"; exec bash -c "${@:3}"\n',
    'gcloud': _BOTH.format(
        start='TPU_WORKER_ID=$i TPU_WORKER_HOSTNAMES=localhost,other bash -c "${8#--command=}"'
    ).replace('highest=0', 'highest=0; echo gcloud "${@:1:7}" >> "$HEARD"'),
}
_PYTHON = """#!/bin/bash
exec {python} "$@"
"""
_PRINTS = """#!{python}
import json, os, sys
number = os.environ.get('SLURM_PROCID', os.environ.get('TPU_WORKER_ID'))
os.write(1, (json.dumps([sys.argv[1:], number]) + '\\n').encode())  # at once, so that lines stay whole
sys.exit(int(os.environ['CODE']))
"""


def free_port(ports=(0,)):
    """The first of the ports that is free now; 0: any."""
    for port in ports:
        with contextlib.suppress(OSError), socket.socket() as free:
            free.bind(('localhost', port))
            return free.getsockname()[1]
    raise AssertionError('no port is free')


def script(name, *arguments, **variables):
    return [(['bash', str(LAUNCH / f'{name}.sh'), *arguments], variables)]


def pods(name, arguments, *variables):
    """What Kubernetes would run in the first pods of a JobSet: one for each set of variables that it adds."""
    (job,) = yaml.safe_load((LAUNCH / f'{name}.yaml').read_text())['spec']['replicatedJobs']
    assert job['template']['spec']['completionMode'] == 'Indexed'
    (container,) = job['template']['spec']['template']['spec']['containers']
    own = {entry['name']: entry['value'] for entry in container.get('env', ())}
    return [([*container['command'], *arguments], own | added) for added in variables]


def slurm(arguments):
    ports = range(65535 - 2**12 + 1, 65536)  # from which JAX chooses by the number of the job
    return script('slurm', *arguments, SLURM_JOB_ID=str(ports.index(free_port(ports))))


def ssh(arguments):
    return script('ssh', 'localhost', 'other', '--', *arguments, PORT=str(free_port()))


_TPU = {'JAX_FORCE_TPU_INIT': '1', 'TPU_SKIP_MDS_QUERY': '1'}  # as if there was a TPU


def cloud_tpu(arguments):
    own = {'TPU_NAME': 'my-tpu', 'ZONE': 'us-central2-b', 'DIRECTORY': str(ROOT)}
    return script('cloud_tpu', *arguments, JAX_COORDINATOR_PORT=str(free_port()), **own, **_TPU)


def gke_gpu(arguments):
    address = {'COORDINATOR': f'localhost:{free_port()}'}
    return pods('gke_gpu', arguments, *({'JOB_COMPLETION_INDEX': str(i), **address} for i in range(2)))


def gke_tpu(arguments):
    shared = {'TPU_WORKER_HOSTNAMES': 'localhost,other', 'JAX_COORDINATOR_PORT': str(free_port()), **_TPU}
    return pods('gke_tpu', arguments, *({'TPU_WORKER_ID': str(i), **shared} for i in range(2)))


CLUSTERS = (slurm, ssh, cloud_tpu, gke_gpu, gke_tpu)


@pytest.fixture
def launch(tmp_path):
    """Starts commands with the stand-ins, waits for them, and returns their exit codes and all that they printed."""

    def run(commands, **variables):
        directory = tmp_path / 'bin'
        directory.mkdir()
        python = (_PRINTS if 'CODE' in variables else _PYTHON).format(python=sys.executable)
        for name, text in {**STAND_INS, 'python': python, 'python3': python}.items():
            (directory / name).write_text(text)
            (directory / name).chmod(0o755)
        usual = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
        usual |= {'PATH': f'{directory}:{os.environ["PATH"]}', 'HEARD': str(tmp_path / 'heard')}
        started = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=usual | own | variables,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for command, own in commands
        ]
        outputs = [process.communicate(timeout=300)[0] for process in started]
        return [process.returncode for process in started], ''.join(outputs)

    return run


@pytest.mark.parametrize('cluster', CLUSTERS)
def test_every_process_gets_the_whole_command_and_its_identity(cluster, launch):
    arguments = [*TRAINING, '--workdir', "/shared/somebody's runs"]
    codes, output = launch(cluster(arguments), CODE='0')
    assert set(codes) == {0}
    identities = []
    for line in output.splitlines():
        given, number = json.loads(line)
        assert given[:2] == ['-m', 'gan_jax.main']
        found, rest = main.parse(given[2:])
        assert rest == main.parse(arguments)[1]
        assert (found.config, str(found.workdir)) == ('configs/toy.py', "/shared/somebody's runs")
        if not found.distributed:
            assert (found.coordinator.partition(':')[0], found.num_processes) == ('localhost', 2)
            number = found.process_id
        identities.append(int(number))
    assert sorted(identities) == [0, 1]


@pytest.mark.parametrize(
    ('cluster', 'calls'),
    [
        (ssh, {'ssh -tt localhost', 'ssh -tt other'}),
        (cloud_tpu, {'gcloud compute tpus tpu-vm ssh my-tpu --zone=us-central2-b --worker=all'}),
    ],
)
def test_every_host_is_called(cluster, calls, launch, tmp_path):
    launch(cluster(TRAINING), CODE='0')
    assert set((tmp_path / 'heard').read_text().splitlines()) == calls


@pytest.mark.parametrize(
    ('code', 'restarts', 'again'),
    [(0, 0, False), (2, 0, False), (3, 0, False), (75, 9, True), (143, 0, True), (75, 10, False)],
)
def test_slurm_requeues_only_what_can_resume(code, restarts, again, launch, tmp_path):
    codes, _ = launch(slurm(TRAINING), CODE=str(code), SLURM_RESTART_COUNT=str(restarts))
    assert codes == [code]
    heard = tmp_path / 'heard'
    assert heard.exists() == again
    assert not again or heard.read_text().startswith('scontrol requeue ')


@pytest.mark.parametrize('name', ['gke_gpu', 'gke_tpu'])
def test_kubernetes_restarts_only_what_can_resume(name):
    specification = yaml.safe_load((LAUNCH / f'{name}.yaml').read_text())['spec']
    (job,) = specification['replicatedJobs']
    (rule,) = job['template']['spec']['podFailurePolicy']['rules']
    assert rule['action'] == 'FailJob'
    assert rule['onExitCodes']['values'] == [1, 2, 3]
    assert relay.LOST not in rule['onExitCodes']['values']
    (rule,) = specification['failurePolicy']['rules']
    assert rule == {'action': 'FailJobSet', 'onJobFailureReasons': ['PodFailurePolicy']}


class _Metadata(http.server.BaseHTTPRequestHandler):
    """The answer of the metadata server of a virtual machine with a TPU, in which JAX looks for MEGASCALE_ keys."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ACCELERATOR_TYPE: 'v6e-8'\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def metadata():
    """The address of a metadata server."""
    with http.server.ThreadingHTTPServer(('localhost', 0), _Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'localhost:{server.server_port}'
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize('cluster', CLUSTERS)
def test_two_processes_train(cluster, launch, metadata, tmp_path):
    workdir = tmp_path / 'run'
    commands = cluster([*TRAINING, '--workdir', str(workdir)])
    codes, output = launch(commands, JAX_PLATFORMS='cpu', GCE_METADATA_IP=metadata)
    assert set(codes) == {0}, output
    steps = [json.loads(line)['step'] for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
    assert steps == [10, 20]
    assert json.loads((workdir / 'run.json').read_text())['devices']['number'] == 2
