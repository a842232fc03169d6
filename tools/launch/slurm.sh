#!/bin/bash
#SBATCH --job-name=gan_jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8      # one process for each GPU
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120        # to all processes, 120 s before the time limit: the run is saved
#SBATCH --requeue
#SBATCH --open-mode=append       # one log for all starts
#
# Trains on several nodes under SLURM:
#
#     sbatch tools/launch/slurm.sh --config dcgan:folder:/data/images --workdir /shared/runs/images
#
# Submit it from the directory in which `python -m gan_jax.main` works. A job that is preempted, loses a node or comes
# to its time limit is queued again and resumes from its last checkpoint, at most ten times.

export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # srun does not take it from sbatch
srun python -m gan_jax.main --distributed "$@"
code=$?
# 75: another process was lost; 128 and above: ended by a signal. 1, 2 and 3 are errors that another start would repeat.
if [ "$code" -ge 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 10 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
