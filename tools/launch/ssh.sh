#!/bin/bash
# Trains on several hosts that are reached by ssh, with one process on each for all of its GPUs:
#
#     tools/launch/ssh.sh host-a host-b -- --config dcgan:folder:/data/images --workdir /shared/runs/images
#
# Each host has gan_jax in this directory, and the hosts reach port 1234 (or PORT) of the first. If a host is lost, the
# others end with exit code 75; the same command resumes the run.

hosts=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    hosts+=("$1")
    shift
done
shift
started=()
for i in "${!hosts[@]}"; do
    identity="--coordinator ${hosts[0]}:${PORT:-1234} --num_processes ${#hosts[@]} --process_id $i"
    # With a terminal (-tt) the process ends with this script.
    ssh -tt "${hosts[i]}" "cd $(printf %q "$PWD") && exec python -m gan_jax.main $identity $(printf '%q ' "$@")" </dev/null &
    started+=($!)
done
highest=0
for process in "${started[@]}"; do
    wait "$process"
    code=$?
    [ "$code" -gt "$highest" ] && highest=$code
done
exit "$highest"
