#!/usr/bin/env bash
# One run on several processes of this machine: docs/examples/workers.sh COUNT FLAGS_OF_TRAIN...
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python}
count=$1
shift
addresses=$("$PYTHON" - "$count" <<'EOF'
import json, socket, sys
held = [socket.create_server(("localhost", 0)) for _ in range(int(sys.argv[1]))]
print(json.dumps([f"localhost:{h.getsockname()[1]}" for h in held]))
EOF
)
workers=()
for ((index = 0; index < count; index++)); do
  TF_CONFIG="{\"cluster\": {\"worker\": $addresses}, \"task\": {\"type\": \"worker\", \"index\": $index}}" \
    "$PYTHON" scripts/train.py "$@" &
  workers+=($!)
done
status=0
for worker in "${workers[@]}"; do wait "$worker" || status=$?; done
exit "$status"
