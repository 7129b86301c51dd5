#!/bin/sh
# Train, register the version, and propose it if the gates of the stage pass.
#
#     nightly.sh STAGE [OPTION OF git model propose]...
#
# GITMODEL_REPO is the URL of the registry. NIGHTLY_TOKEN, if set, is a token for the git host of this URL.
# Exit codes are those of git model. 0: proposed. 6: a gate refused the version, which stays registered.
set -eu
stage=${1:?"usage: nightly.sh STAGE"}
shift
cd "$(dirname "$0")"
export GIT_AUTHOR_NAME=nightly GIT_AUTHOR_EMAIL=nightly@localhost
export GIT_COMMITTER_NAME=nightly GIT_COMMITTER_EMAIL=nightly@localhost
if test -n "${NIGHTLY_TOKEN:-}"; then
  # git asks this function for the password, so that the token is in no URL, file or command line
  export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=credential.helper
  export GIT_CONFIG_VALUE_0='!f() { test "$1" != get || printf "username=nightly\npassword=%s\n" "$NIGHTLY_TOKEN"; }; f'
fi
run=$(git-model run train.py --quiet)
shown=$(git-model runs show "$run" --format json)
version=$(printf '%s' "$shown" | python3 -c 'import json, sys; print(json.load(sys.stdin)["versions"][0])')
echo "run $run created $version"
exec git-model propose "$version" "$stage" --reason "nightly training, run $run" "$@"
