#!/bin/sh
# Run once by the postgres image: a role and a database for each use, which no other role may enter.
set -eu
export SECRETS="${SECRETS:-/run/secrets}"
run() { psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres; }
for ROLE in veilcast counts mlflow prefect reader; do
    export ROLE
    [ -r "$SECRETS/$ROLE" ] || { echo "the secret $ROLE is missing" >&2; exit 1; }
    run <<'SQL'
\set role `echo "$ROLE"`
\set password `cat "$SECRETS/$ROLE"`
CREATE ROLE :"role" LOGIN PASSWORD :'password';
SQL
    [ "$ROLE" = reader ] || run <<'SQL'
\set role `echo "$ROLE"`
CREATE DATABASE :"role" OWNER :"role";
REVOKE ALL ON DATABASE :"role" FROM PUBLIC;
SQL
done
echo 'GRANT CONNECT ON DATABASE veilcast TO reader;' | run
