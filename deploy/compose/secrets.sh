#!/bin/sh
# Makes what deploy/compose.yaml mounts: a random password for each role of Redis, the users, the webhook's token.
# Usage: secrets.sh [FOLDER]; what is there already is kept. Put your key into FOLDER/openai_api_key afterwards.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/secrets}
umask 077
mkdir -p "$folder"
for name in producer consumer worker operator keda monitor guard web webhook_token grafana_admin; do
    [ -s "$folder/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name"
done
[ -e "$folder/openai_api_key" ] || echo "put-your-key-here" >"$folder/openai_api_key"
"$here"/../redis/make-users "$folder" >"$folder/users.acl"
# Containers read them as users of their own; the folder stays closed to everybody else on this machine.
chmod 700 "$folder"
chmod 444 "$folder"/*
echo "secrets are in $folder; put your OpenAI key into $folder/openai_api_key"
