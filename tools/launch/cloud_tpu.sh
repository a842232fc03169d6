#!/bin/bash
# Trains on all hosts of a Cloud TPU slice:
#
#     TPU_NAME=my-tpu ZONE=us-central2-b tools/launch/cloud_tpu.sh \
#         --config dcgan:folder:/mnt/data/images --workdir /mnt/shared/runs/images
#
# Before that, once, gan_jax and JAX for TPUs on each host:
#
#     gcloud compute tpus tpu-vm scp --recurse . "$TPU_NAME:gan_jax" --zone="$ZONE" --worker=all
#     gcloud compute tpus tpu-vm ssh "$TPU_NAME" --zone="$ZONE" --worker=all \
#         --command="cd gan_jax && pip install -e . 'jax[tpu]'"

set -eu
gcloud compute tpus tpu-vm ssh "$TPU_NAME" --zone="$ZONE" --worker=all \
    --command="cd ${DIRECTORY:-gan_jax} && exec python3 -m gan_jax.main --distributed $(printf '%q ' "$@")"
