#!/bin/sh
# Makes this clone ready: `scripts/setup.sh run` to run Lateen, `scripts/setup.sh dev` to test it as well.
# Called by make before whatever needs it, so it is quick when nothing is missing. It writes to .venv only; as root it
# also installs the Debian packages that are missing, otherwise it says in one line how to install them.
set -eu
umask 022 # sidecars run as a user of their own and read the packages
cd "$(dirname "$0")/.."
mode=${1:-run}
PATH=$PATH:/usr/sbin:/sbin
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# What the installed environment depends on; it is written into .venv when the installation has succeeded.
wanted() { { pwd; cat "$1" pyproject.toml scripts/setup.sh; } | sha256sum; }
installed() { [ "$(cat ".venv/.installed-$1" 2>/dev/null)" = "$(wanted "$2")" ] && .venv/bin/python -c ''; }

packages=''
command -v iptables-restore >/dev/null || packages="$packages iptables"
command -v nft >/dev/null || packages="$packages nftables"
command -v newuidmap >/dev/null || packages="$packages uidmap"

ready=no
if installed dev requirements-dev.lock || { [ "$mode" = run ] && installed run requirements.lock; }; then ready=yes; fi

venv_missing=no
if [ $ready = no ]; then
    python=''
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then
        found=$(${PYTHON:-python3} --version 2>/dev/null || echo 'no Python')
        die "Lateen needs Python 3.11 or later and this machine has $found. Install one, or name it: make setup PYTHON=/path/to/python3.12"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        packages="$packages $(basename "$python")-venv"
        venv_missing=yes
    fi
fi

if [ -n "$packages" ]; then
    if [ "$(id -u)" != 0 ]; then
        say "This machine lacks packages that the mesh needs. Install them with: sudo apt-get install -y$packages"
        [ $venv_missing = no ] || die "$python cannot make a virtual environment until then."
    elif ! command -v apt-get >/dev/null; then
        say "This machine lacks$packages (Debian's names) and has no apt-get: install them its own way."
        [ $venv_missing = no ] || die "$python cannot make a virtual environment until then."
    else
        say "installing Debian packages:$packages"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086 # a list of words
        apt_install() { apt-get install -y -qq --no-install-recommends $packages </dev/null >/dev/null; }
        apt_install 2>/dev/null || { apt-get update -qq </dev/null && apt_install; } ||
            die "apt-get could not install them. See its message above; then run again: make setup"
    fi
fi

[ $ready = no ] || exit 0
lock=requirements.lock
[ "$mode" = run ] || lock=requirements-dev.lock
rm -f .venv/.installed-*
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv || die "$python could not make the virtual environment .venv."
say "installing Python packages from $lock (once)"
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input -q "$@" </dev/null; }
pip install --require-hashes --only-binary :all: -r "$lock" ||
    die "pip could not install the packages of $lock. See its message above; then run again: make setup"
pip install --no-deps --no-build-isolation -e . || die "pip could not install Lateen itself. See its message above."
wanted "$lock" >".venv/.installed-$mode"
