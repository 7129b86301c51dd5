#!/bin/bash
# This file is yours: deploy each version that came into force. $1 is a JSON file with the stages that moved, each with model,
# stage and version.
set -euo pipefail
cat "$1"
