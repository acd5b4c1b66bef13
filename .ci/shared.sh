# What .ci/run and .ci/release share; sourced by both, at their beginning, from the folder of the checkout.
# `more_packages` names Debian packages that the one needs beside those of both. It sets `work` (a temporary folder), puts a new environment with msoauth, its tests and linters first in PATH, and
# knows how the tests are run.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\n== %s\n' "$*"; }

# run_tests [OPTION]…: the README's command; what it prints is kept in $work/tests.txt.
run_tests() {
  # Half of the time the tests wait for servers, so two workers share a processor.
  PYTEST_XDIST_AUTO_NUM_WORKERS=$((2 * $(nproc))) MSOAUTH_REQUIRE_REAL=1 pytest "$@" 2>&1 | tee "$work/tests.txt"
}

# The test runner's closing line once more, last, where readers look for it.
closing_line() { tail -n 1 "$work/tests.txt"; }

say "Debian's packages"
wanted=(chromium curl dovecot-core dovecot-imapd dovecot-pop3d dovecot-submissiond fonts-dejavu-core
  mpop msmtp postfix postgresql "${more_packages[@]}")
command -v node >/dev/null || wanted+=(nodejs)
command -v npm >/dev/null || wanted+=(npm)
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  echo "installing ${missing[*]}"
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  export DEBIAN_FRONTEND=noninteractive
  $sudo apt-get update -qq
  $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  for python in python3.13 python3.12 python3.11; do
    command -v "$python" >/dev/null && break
  done
fi

say "environment: $("$python" --version)"
"$python" -m venv "$work/env"
PATH="$work/env/bin:$PATH"
pip install --quiet build
pip install --quiet -e '.[test,lint]'
