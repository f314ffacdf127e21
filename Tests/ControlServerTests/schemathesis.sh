#!/usr/bin/env bash
# Lets Schemathesis ask a daemon everything that its own description says can be asked, and much that it says cannot.
set -euo pipefail

usage() {
  cat <<'END'
Checks that a daemon answers as its /openapi.json says, to good requests and bad ones, and never with a fault.

  schemathesis.sh http://127.0.0.1:8080 checkpoints/control.token [options of `schemathesis run`]

Needs Schemathesis 4 (PyPI) on PATH:  python3 -m venv venv && venv/bin/pip install schemathesis && PATH=venv/bin:$PATH
The events are left out, since their stream has no end. Everything else is asked, so that runs are paused and jobs
cancelled: take a daemon whose runs are for trying out. On one that trains, leave out what ends it, and the check that
every configuration a text can be is accepted:

  … --exclude-path /v1/stop --exclude-checks positive_data_acceptance
END
}

if (($# < 2)) || [[ $1 == -h || $1 == --help ]]; then
  usage
  (($# == 1)) && exit
  exit 2
fi
url=$1 token=$(<"$2")
shift 2
command -v schemathesis >/dev/null || {
  echo "schemathesis.sh: schemathesis is not on PATH; see schemathesis.sh --help" >&2
  exit 1
}

# The cookie is another way in than the token; that each is needed where the description says so, AccessTests check.
exec schemathesis run "$url/openapi.json" --header "Authorization: Bearer $token" --exclude-path /v1/events \
  --request-timeout 20 --seed 1 "$@"
