#!/bin/bash
# Yours: what to do with each version that came into force. $1 is a file of JSON that lists what moved: model, stage, version.
set -euo pipefail
cat "$1"
