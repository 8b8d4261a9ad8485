#!/bin/sh
# Tries Latent on this machine's NVIDIA card, and leaves a report:
#
#     sh run [OUT]        OUT is the folder of the report, by default cuda-report-TIME
#
# It takes eight minutes at most, and needs python3 with JAX's CUDA plugin; for the whole benchmark also JAX and PyTorch. It
# writes OUT, a temporary folder that it removes, and a checksum into Latent's cache folder. It decides by the environment:
#
#     MINUTES=4           a shorter run; 8 by default
#     PYTHON=PATH         the interpreter; LATENT_PYTHON or python3 by default
#     KIT_BACKEND=xla:cpu the kit itself is tried, without a card; xla:cuda by default
#     PACKAGES="train …"  only these packages' tests
#     PARALLEL=1          how many children compute at once in a step; half the cores by default, 4 at most
#     TMPDIR=DIR          where the archive is unpacked: 400 MB
#
# Exit status: 0 all passed; 1 some did not, see OUT/report.md; 2 it could not start.
set -eu

started=$(date +%s)
case ${1-} in
-h | --help)
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0"
  exit
  ;;
esac
if [ $# -gt 1 ]; then
  echo "run: want one argument, the folder of the report" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-cuda-report-$(date +%Y%m%d-%H%M%S)}
python=${PYTHON:-${LATENT_PYTHON:-python3}}

dir=$(mktemp -d "${TMPDIR:-/tmp}/latent-kit-XXXXXX") || exit 2
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM HUP

# Python has all it takes to unpack; one that was built without xz leaves it to tar.
if ! "$python" -c '
import sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    archive.extractall(sys.argv[2])
' "$here/kit.tar.xz" "$dir" 2>"$dir/python.log" && ! tar -xJf "$here/kit.tar.xz" -C "$dir"; then
  echo "run: neither $python nor tar could unpack $here/kit.tar.xz into $dir:" >&2
  cat "$dir/python.log" >&2
  exit 2
fi
if ! "$dir/kit" --help >/dev/null 2>&1; then
  echo "run: cannot run programs in $dir; name another folder by TMPDIR" >&2
  exit 2
fi

# From here on the kit removes the folder: it gets the signals that are sent to this process.
trap - EXIT INT TERM HUP
exec "$dir/kit" --started "$started" --remove "$out"
