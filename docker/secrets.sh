#!/bin/sh
# Makes the secrets that compose.yaml names, those that are not there yet: docker/secrets/NAME.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in postgres veilcast counts reader mlflow prefect api; do
    [ -e "secrets/$name" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' > "secrets/$name"
    chmod 0444 "secrets/$name" # read by another user inside; the folder is closed to others
done
